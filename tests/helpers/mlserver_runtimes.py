# SPDX-License-Identifier: Apache-2.0
"""Where `make servers` has installed the runtimes of MLServer."""

from __future__ import annotations

import runpy
from pathlib import Path

_INSTALLER = Path(__file__).parents[2] / "scripts" / "servers" / "install_runtimes.py"
_FOUND = runpy.run_path(str(_INSTALLER))

ENVIRONMENT: Path = _FOUND["ENVIRONMENT"]
COMPLETE: Path = _FOUND["COMPLETE"]
