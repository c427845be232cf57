# SPDX-License-Identifier: Apache-2.0
"""MLServer loads only what was verified.

`VerifiedModelRepository` is the integration to use; `VerifiedModel` covers much less, see there.
Only this package imports mlserver.
"""

from importlib.util import find_spec

if find_spec("mlserver") is None:
    raise ModuleNotFoundError(
        "MLServer is missing. On Python 3.11 or 3.12: pip install 'modelseal[mlserver]'"
    )

from modelseal.servers.mlserver.repository import VerifiedModelRepository
from modelseal.servers.mlserver.runtime import VerifiedModel

__all__ = ["VerifiedModel", "VerifiedModelRepository"]
