# SPDX-License-Identifier: Apache-2.0
"""Watches a transparency log: that it only grows, and who signed."""
