# SPDX-License-Identifier: Apache-2.0
"""Whether the code that a model's configuration names is part of the signed model.

`auto_map` of Transformers names Python: `file.Class` of the model itself, `owner/name--file.Class`
of another repository, which would come from a cache or the network and which nobody signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelseal.errors import ModelSealError, PolicyRefused, shown
from modelseal.files import read_untrusted
from modelseal.formats.strict import parse_json
from modelseal.model import names
from modelseal.policy.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.admission.admit import Snapshot

_LIMIT = 16 * 1024 * 1024  # bytes of a configuration
_ITEMS = 1_000_000  # values in one: tokenizers list their special tokens
_ELSEWHERE = "--"


def check(snapshot: Snapshot) -> None:
    """Check that all code that the configuration of the model names was signed with it.

    Raises:
        PolicyRefused: some is elsewhere, or missing, or a configuration cannot be read.
    """
    if not snapshot.path.is_dir():
        return
    signed = set(snapshot.manifest.file_names())
    for name in sorted(signed):
        if "/" in name or not name.endswith("config.json"):
            continue
        for reference in _references(snapshot, name):
            module = reference.rpartition(".")[0].replace(".", "/")
            if _ELSEWHERE in reference or f"{module}.py" not in signed:
                message = f"'{shown(name)}' names code that was not signed: '{shown(reference)}'."
                raise _refused(snapshot, message)


def _references(snapshot: Snapshot, name: str) -> Iterator[str]:
    """Yield what `auto_map` in this configuration names."""
    path = snapshot.path / names.to_disk(name)
    try:
        document = parse_json(
            read_untrusted(path, _LIMIT, "configuration"), what=name, limit=_LIMIT, items=_ITEMS
        )
    except ModelSealError as error:
        raise _refused(snapshot, f"'{shown(name)}' cannot be read: {error.message}") from error
    for value in _values_of("auto_map", document):
        yield from _texts(value)


def _values_of(name: str, value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON is any value
    """Yield each value that a member `name` has, however deep."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values_of(name, one)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _refused(snapshot: Snapshot, message: str) -> PolicyRefused:
    hint = "Put the code into the model's folder, name it there, and sign again."
    verdict = snapshot.verdict
    checks = (*verdict.checks, Check("code", passed=False, detail=message))
    return PolicyRefused(
        verdict.replace(
            status="refused", code="code-not-signed", message=message, hint=hint, checks=checks
        )
    )
