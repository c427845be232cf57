# SPDX-License-Identifier: Apache-2.0
"""Bytes <-> values, nothing else: no I/O, no clock, no network, no trust decision."""
