# SPDX-License-Identifier: Apache-2.0
"""Bundles made by hand, to the last byte, so that any part can be made wrong before it is signed.

Nothing here uses the code under test to sign, issue, log or timestamp. Keys follow from names and
signatures from keys (RFC 6979), so that one specification always makes the same bundle.
"""
