# SPDX-License-Identifier: Apache-2.0
"""Which source a URI is about; the library that it needs is imported only then.

hf://ORG/NAME[@REVISION]              a repository of the Hugging Face Hub
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from modelseal.errors import UsageError, shown
from modelseal.sources.base import extra_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.sources.base import Source

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<rest>//.*|/.*)", re.DOTALL)
_USER = re.compile(r"//[^/@]*:[^/@]*@")
_LIMIT = 4096  # characters


class _Scheme(NamedTuple):
    module: str  # has a class `At`, called with the URI
    extra: str  # empty if the library is there anyway


_SCHEMES = {
    "hf": _Scheme("hub", "hf"),
    "s3": _Scheme("bucket", "buckets"),
    "gs": _Scheme("bucket", "buckets"),
    "az": _Scheme("bucket", "buckets"),
    "oci": _Scheme("registry", "oci"),
    "https": _Scheme("https", ""),
    "models": _Scheme("mlflow", "mlflow"),
}


def is_uri(text: str | Path) -> bool:
    """Return whether `text` names a model elsewhere; a `Path` never does."""
    if isinstance(text, Path):
        return False
    match = _URI.fullmatch(text)
    return match is not None and (match["scheme"] == "models" or match["rest"][:2] == "//")


def at(uri: str) -> Source:
    """Return the source that `uri` is about.

    Raises:
        UsageError: its scheme is unknown ("unknown-scheme"), needs an extra ("extra-missing"), or
            the rest is not what the scheme wants ("bad-uri").
    """
    match = _URI.fullmatch(uri)
    scheme = match["scheme"] if match else ""
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}:" for name in _SCHEMES)
        message = f"'{shown(uri)}' has no scheme that is known."
        raise UsageError("unknown-scheme", message, f"Known are {known} and paths of files.")
    if len(uri) > _LIMIT or not uri.isprintable() or " " in uri:
        raise bad_uri(uri, "A URI has no spaces and no control characters.")
    if _USER.search(uri):  # it would be in every log
        raise UsageError(
            "credentials-in-uri",
            f"The {scheme}: URI has a password in it.",
            "Leave it out, and give credentials as docs/sources.md says.",
        )
    module, extra = _SCHEMES[scheme]
    try:
        found = import_module(f"modelseal.sources.{module}")
    except ImportError as error:
        if not extra:
            raise
        raise extra_missing(extra, f"{scheme}:", error) from error
    return cast("Callable[[str], Source]", found.At)(uri)


def bad_uri(uri: str, hint: str) -> UsageError:
    """Return the refusal of a URI that is not what its scheme wants."""
    return UsageError("bad-uri", f"'{shown(uri)}' is not a URI of a model.", hint)
