# SPDX-License-Identifier: Apache-2.0
"""The cases of the Sigstore client conformance suite by name; importing it makes the table."""

from client_cases import bundles, logs, roots, statements, timestamps
from client_cases.case import CASES

__all__ = ["CASES", "bundles", "logs", "roots", "statements", "timestamps"]
