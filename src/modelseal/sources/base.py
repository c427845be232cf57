# SPDX-License-Identifier: Apache-2.0
"""What every source does: say which revision there is, list its files, download one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown
from modelseal.model.bundles import MOST_BUNDLES, beside_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Count = Callable[[int], None]  # is told how many more bytes have come

MOST_OBJECTS = 1_000_000  # no model has more files


class Object(NamedTuple):
    """A file of a model at its source: its name in the model, and its size if that is known.

    `key` is what its source needs to find just these bytes, such as a digest or an ETag.
    """

    name: str
    size: int | None
    key: str = ""


class Resolved(NamedTuple):
    """A model at its source, as it is now.

    `revision` is a URI that never means other bytes: either the source promises that, or a change
    is noticed. `name` is how the rules of a policy know the model. With `is_file` the model is the
    one file of that name, and the other objects are its signatures.
    """

    revision: str
    name: str
    objects: tuple[Object, ...]
    is_file: bool = False

    @property
    def size(self) -> int:
        """Return how many bytes there are, as far as that is known."""
        return sum(one.size or 0 for one in self.objects)


class Source(Protocol):
    """A model at its source."""

    def resolve(self) -> Resolved:
        """Return the model as it is now, its names checked by `checked`.

        Raises:
            UsageError: there is no such model. FormatError: a name that no file may have.
            Undecided: the source cannot be asked.
        """

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where below the private `folder` the file `one` is now, whole.

        What an earlier try left in that folder is used.

        Raises:
            FormatError: these are other bytes than those that were resolved.
            Undecided: it cannot be had, or not be written.
        """


def signatures_beside(name: str, find: Callable[[str], Object | None]) -> Iterator[Object]:
    """Yield the signatures of the file `name` that `find` finds: there is no third without two."""
    names = [path.name for path in beside_file(Path(name))]
    for first in range(0, len(names), MOST_BUNDLES):
        for one in names[first : first + MOST_BUNDLES]:
            found = find(one)
            if found is None:
                break
            yield found


def no_such_revision(uri: str, hint: str) -> UsageError:
    """Return the refusal of a `uri` at which there is no model."""
    message = f"There is no model at '{shown(uri)}'."
    return UsageError("no-such-revision", message, hint)


def access_denied(uri: str, hint: str) -> Undecided:
    """Return the refusal when the source does not accept the credentials, or wants some."""
    message = f"'{shown(uri)}' cannot be read with the credentials at hand."
    return Undecided("access-denied", message, hint)


def transfer_failed(uri: str, reason: str) -> Undecided:
    """Return the error when a source cannot be reached, or stops answering."""
    message = f"The transfer from '{shown(uri)}' failed: {shown(reason)}."
    hint = "Check the network and try again; `modelseal fetch` continues where it stopped."
    return Undecided("transfer-failed", message, hint)


def changed_at_source(uri: str, name: str) -> FormatError:
    """Return the refusal when a file is not the one that was listed."""
    message = f"'{shown(name)}' at '{shown(uri)}' is not as its source said that it is."
    hint = "Try again; if it stays so, the source is broken or hostile."
    return FormatError("source-mismatch", message, hint)


def extra_missing(extra: str, scheme: str, error: ImportError) -> ModelSealError:
    """Return the refusal of a URI whose library is not installed."""
    return UsageError(
        "extra-missing",
        f"Models at {scheme} need the package {error.name}, which is not installed.",
        f"Install it with: pip install 'modelseal[{extra}]'",
    )
