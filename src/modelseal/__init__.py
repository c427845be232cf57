# SPDX-License-Identifier: Apache-2.0
"""Sign models, verify them offline, load only what was verified.

`sign`, `verify` and `load` are imported on first use, so that `import modelseal` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.errors import (
    FormatError,
    ModelSealError,
    PolicyRefused,
    SignInNeeded,
    Undecided,
    Unverified,
    UsageError,
)

if TYPE_CHECKING:
    from modelseal.admission.load import load
    from modelseal.admission.request import Request
    from modelseal.admission.verify import verify, verify_all, verify_threshold
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.signing.sign import sign
    from modelseal.signing.signed import Signed

__version__ = "0.1.0"

_LAZY = {
    "Policy": "modelseal.policy.rules",
    "Request": "modelseal.admission.request",
    "Signed": "modelseal.signing.signed",
    "Trust": "modelseal.trust.choice",
    "Verdict": "modelseal.policy.verdict",
    "load": "modelseal.admission.load",
    "sign": "modelseal.signing.sign",
    "verify": "modelseal.admission.verify",
    "verify_all": "modelseal.admission.verify",
    "verify_threshold": "modelseal.admission.verify",
}

__all__ = [
    "FormatError",
    "ModelSealError",
    "Policy",
    "PolicyRefused",
    "Request",
    "SignInNeeded",
    "Signed",
    "Trust",
    "Undecided",
    "Unverified",
    "UsageError",
    "Verdict",
    "load",
    "sign",
    "verify",
    "verify_all",
    "verify_threshold",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415 - the point is not to import early

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
