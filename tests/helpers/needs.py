# SPDX-License-Identifier: Apache-2.0
"""What some tests need that there is not for every Python.

By the version and not by what is installed: on the others an installation that misses it must fail.
"""

from __future__ import annotations

import sys

import pytest

HAS_MLSERVER = sys.version_info < (3, 13)
NO_MLSERVER = "the newest MLServer, 1.7.1, does not install on Python 3.13"
needs_mlserver = pytest.mark.skipif(not HAS_MLSERVER, reason=NO_MLSERVER)
