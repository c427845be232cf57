# SPDX-License-Identifier: Apache-2.0
"""Processes that hash many small files, each its share.

A helper is a new interpreter, not a fork: whoever calls may have threads, as notebooks and servers
do. It imports `small_files`, never the caller's program. It gets the descriptor of the folder that
the model is inside of, and names below it. Question and answer are in memory, as marshal writes
them: both ends are of one version, run by the same interpreter.
"""

from __future__ import annotations

import marshal
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from modelseal.model.small_files import Result
    from modelseal.model.walk import Files

_PROGRAM = """
import sys
sys.path += sys.argv[1:]
from modelseal.model.small_files import answer
answer()
"""


class Helper:
    """A process that hashes `share`, with what `SmallFiles` is made from; at once."""

    def __init__(self, share: Sequence[Files], *arguments: Any) -> None:  # noqa: ANN401 - passed on
        self._answer = -1
        self._process: subprocess.Popen[bytes] | None = None
        if not _can_start():
            return
        batches = [(_encoded(files.folder), _encoded(files.parts)) for files in share]
        boundary, hash_type, *_ = arguments
        try:
            self._answer = os.memfd_create("answer")
            self._process = _started((arguments, batches), self._answer, boundary, hash_type)
        except OSError:  # the caller does without
            self.close()

    def results(self) -> list[list[Result]] | None:
        """Return for each of the share's folders what `SmallFiles.hash` returns, when it is done.

        None if the process could not do its work.
        """
        if self._process is None or self._process.wait():
            return None
        os.lseek(self._answer, 0, os.SEEK_SET)
        try:
            with open(self._answer, "rb", closefd=False) as file:
                # Written by `small_files.answer`, into memory that nobody else has.
                found: list[list[Result]] = marshal.load(file)  # noqa: S302
        except (EOFError, ValueError, TypeError):  # another program than Python, by its name
            return None
        return found

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._answer >= 0:
            os.close(self._answer)
            self._answer = -1


def _can_start() -> bool:
    """Return whether this program is run by an interpreter that can be started once more."""
    can = bool(sys.executable) and not hasattr(sys, "frozen") and Path(__file__).is_file()
    return can and hasattr(os, "memfd_create")  # Linux has it


def _started(
    question: tuple[Any, ...], answer: int, boundary: int, hash_type: str
) -> subprocess.Popen[bytes]:
    """Return the process that was started to answer the `question`.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess  # noqa: PLC0415 - 10 ms that only many files need

    paths = [str(Path(__file__).parents[2])]
    if hash_type == "blake3":
        import blake3  # noqa: PLC0415 - as above

        paths.append(str(Path(blake3.__file__).parents[1]))
    with open(os.memfd_create("question"), "w+b") as file:  # noqa: PTH123 - a descriptor
        marshal.dump(question, file)
        file.seek(0)
        return subprocess.Popen(
            # Not the working directory, nor what the environment says: nobody else's modules.
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *paths],
            stdin=file,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            pass_fds=(boundary,),
        )


def _encoded(names: Sequence[str]) -> list[bytes]:
    """Return the names as the disk has them: the helper may read names in another encoding."""
    return [os.fsencode(name) for name in names]
