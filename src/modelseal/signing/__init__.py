# SPDX-License-Identifier: Apache-2.0
"""Signing, and finding out who signed what and when; not whether that is acceptable."""
