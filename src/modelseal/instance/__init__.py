# SPDX-License-Identifier: Apache-2.0
"""A private Sigstore in one process: OIDC, CA, CT log, transparency log, timestamps, TUF.

One operator holds every key, so it proves who signed to those who trust that operator, and gives no
third-party transparency.
"""
