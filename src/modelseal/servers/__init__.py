# SPDX-License-Identifier: Apache-2.0
"""Thin adapters between model servers and the store."""
