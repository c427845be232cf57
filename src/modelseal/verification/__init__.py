# SPDX-License-Identifier: Apache-2.0
"""The verifier: whether a bundle is what a trust root vouches for (docs/verification.md)."""
