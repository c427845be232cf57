# SPDX-License-Identifier: Apache-2.0
"""The folders of the user: a cache, and data that must be kept.

Most commands need neither. A service account often has no home, or one that cannot be written; the
errors here name the folder and the variable that moves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import Undecided, shown

if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["cache", "data"]

VARIABLES: dict[Kind, str] = {"cache": "XDG_CACHE_HOME", "data": "XDG_DATA_HOME"}


def folder(kind: Kind, application: str) -> Path:
    """Return the user's folder of this kind for `application`; it need not exist.

    Raises:
        Undecided: the user has no home folder ("no-home"). A path that is relative to whatever
            folder the command runs in is not used: somebody else may own that one.
    """
    import platformdirs  # noqa: PLC0415 - hardly any run needs it

    find = platformdirs.user_cache_dir if kind == "cache" else platformdirs.user_data_dir
    try:
        path = Path(find(application))
    except RuntimeError as error:
        raise _no_home() from error
    if not path.is_absolute():  # what older releases of platformdirs return instead
        raise _no_home()
    return path


def unusable(error: OSError, path: Path, kind: Kind, hint: str = "") -> Undecided:
    """Return what `error` means when it came from the folder `path` of this kind."""
    reason = shown(error.strerror or "input/output error")
    return Undecided(
        "home-unusable",
        f"The {kind} folder '{shown(str(path))}' cannot be used: {reason}.",
        hint or f"Make it writable, or set {VARIABLES[kind]} to a folder that is.",
    )


def _no_home() -> Undecided:
    return Undecided(
        "no-home",
        "This user has no home folder: HOME is not set to an absolute path, and the system knows "
        "none for the user.",
        f"Set HOME, or {' and '.join(VARIABLES.values())}, to folders that can be written.",
    )
