# SPDX-License-Identifier: Apache-2.0
"""Hash all files of a model with every processor: one huge file, many small ones, or a mix.

Small files are hashed folder by folder in this thread, and where there are very many, in helper
processes as well. What turns out to be large is then hashed in threads, the largest first: whole
files, or the shards of them. A single large file is read by one thread and hashed by another.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from modelseal.errors import UsageError
from modelseal.files import translated
from modelseal.formats.oms import HASHES
from modelseal.model import lfs, tree
from modelseal.model.hashing import LargeFile, LargeFiles, stretches
from modelseal.model.small_files import CHANGED, SmallFiles
from modelseal.model.threads import Stop, in_threads, processors
from modelseal.model.walk import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelseal.formats.oms import Manifest, Serialization
    from modelseal.model.hashing import Progress, Stretch
    from modelseal.model.small_files import Result
    from modelseal.model.stat_cache import StatCache

_BATCH = 256  # small files between two looks at whether to go on
_HELP = 5_000  # files for each process; with fewer, starting it takes longer than it saves
_MOST_WORKERS = 8  # by default: more do not help, memory is the limit then
_HELPED_SMALL = 1024 * 1024  # bytes; processes do not get in each other's way, as threads do


class Reading(NamedTuple):
    """How to read the files of a model.

    `workers` is how many processors to use, by default all that this process may use. `progress`
    gets the number of bytes of each step. Files that look as `cache` knows them are not read.

    With `signed`, which is what must be there, nothing is read if a file is missing or has another
    size; and with `fail_fast` nothing more when one turns out to be another. With `complete` all is
    read all the same, so that every difference is known.
    """

    workers: int | None = None
    progress: Progress | None = None
    cache: StatCache | None = None
    signed: Manifest | None = None
    fail_fast: bool = False
    complete: bool = False

    def check(self) -> None:
        """Check that there is somebody to do the work.

        Raises:
            UsageError: there are fewer than one worker ("bad-workers").
        """
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            message = f"The number of processors to use is {self.workers}, not at least 1."
            raise UsageError("bad-workers", message, "Leave it out to use all of them.")

    def processors(self) -> int:
        """Return how many to use."""
        return self.workers or min(processors(), _MOST_WORKERS)

    def shared_progress(self) -> Progress | None:
        """Return `progress` for use by several threads."""
        progress = self.progress
        if progress is None:
            return None
        from threading import Lock  # noqa: PLC0415 - 2 ms, and only a terminal has progress

        lock = Lock()

        def shared(count: int) -> None:
            with lock:
                progress(count)

        return shared


PLAIN = Reading()


class Digests:
    """What is known of files by their names: sizes, and for those that were read, digests.

    The digests of the shards of a file follow each other; `pointers` are Git LFS pointers.
    """

    def __init__(
        self, sizes: dict[str, int] | None = None, digests: dict[str, bytes] | None = None
    ) -> None:
        self.sizes = {} if sizes is None else sizes
        self.digests = {} if digests is None else digests
        self.pointers: set[str] = set()


def of_files(
    root: tree.Root, listing: Sequence[Files], how: Serialization, reading: Reading
) -> Digests:
    """Return the digests of the files in `listing`, below the boundary of the model at `root`.

    Raises:
        FormatError: far too many shards, no regular file. Undecided: a file cannot be read or
            changed while it was read.
    """
    hashing = _Hashing(root.boundary.fd, how, reading)
    hashing.small(listing)
    if hashing.has_large:
        hashing.large()  # none of them, if a small one changed and that is enough
    return hashing.found


class _Hashing:
    """The work on one model, while it is done."""

    def __init__(self, boundary: int, how: Serialization, reading: Reading) -> None:
        self.found = Digests()
        self._boundary = boundary
        self._how = how
        self._reading = reading
        self._workers = reading.processors()
        self._expected = None
        if reading.fail_fast and reading.signed is not None:
            self._expected = reading.signed.by_file()
        self._stop = Stop()
        self._large: list[LargeFile] = []
        self._idle = False
        self._progress = reading.shared_progress()

    def small(self, listing: Sequence[Files]) -> None:
        """Hash the small files, and note which are large."""
        count = sum(len(files.parts) for files in listing)
        shares = min(self._workers, count // _HELP)
        if shares > 1 and self._expected is None:
            self._small_with_help(_divided(listing, count, shares))
        else:
            self._small_here(listing)

    def _small_here(self, listing: Sequence[Files], *limit: int) -> None:
        hasher = SmallFiles(self._boundary, self._how.hash_type, self._how.shard_size, *limit)
        for files in listing:
            for batch in _batches(files):
                if self._stop.is_set():
                    return
                with translated(batch.names[0].rpartition("/")[0] or "the model folder"):
                    results = hasher.hash(batch.folder, batch.parts)
                self._take(batch, results)

    def _small_with_help(self, divided: Sequence[Sequence[Files]]) -> None:
        """Hash the first share in this process, and the others in helper processes."""
        from modelseal.model import helpers  # noqa: PLC0415 - only for many files

        own, *shares = divided
        arguments = (self._boundary, self._how.hash_type, self._how.shard_size, _HELPED_SMALL)
        working: list[helpers.Helper] = []
        try:
            for share in shares:
                working.append(helpers.Helper(share, *arguments))  # noqa: PERF401 - each is ended
            self._small_here(own, _HELPED_SMALL)
            for share, helper in zip(shares, working, strict=True):
                results = helper.results()
                if results is None:
                    self._small_here(share, _HELPED_SMALL)
                else:
                    for files, found in zip(share, results, strict=True):
                        self._take(files, found)
        finally:
            for helper in working:
                helper.close()

    def _take(self, files: Files, results: Sequence[Result]) -> None:
        """Note what is known of `files`."""
        sizes, digests, expected = self.found.sizes, self.found.digests, self._expected
        done = 0
        for name, part, result in zip(files.names, files.parts, results, strict=True):
            if isinstance(result, int):
                _raise(name, result)
            size, digest, text = result
            sizes[name] = size
            if digest is None:
                self._large.append(LargeFile(name, files.folder, part, size))
                continue
            digests[name] = digest
            done += size
            if text and lfs.is_pointer_text(text):
                self.found.pointers.add(name)
            if expected is not None and expected.get(name) != digest:
                self._stop.set()
        if self._progress is not None and done:
            self._progress(done)

    @property
    def has_large(self) -> bool:
        """Return whether there are files that are not small."""
        return bool(self._large)

    def large(self) -> None:
        """Hash the files that are not small."""
        shard = self._how.shard_size
        tasks = [
            stretch
            for file in sorted(self._large, key=lambda file: file.size, reverse=True)
            for stretch in stretches(file, shard)
        ]
        parts: dict[str, list[bytes]] = {file.name: [] for file in self._large}
        unread = set()
        self._idle = len(tasks) < self._workers
        done = in_threads(self._begin, tasks, self._workers, self._stop)
        for task, digest in zip(tasks, done, strict=True):
            if digest is None:
                unread.add(task.file.name)
            else:
                parts[task.file.name].append(digest)
        for name in parts.keys() - unread - self.found.digests.keys():
            self.found.digests[name] = b"".join(parts[name])

    def _begin(self) -> Callable[[Stretch], bytes]:
        """Return what hashes in one thread."""
        files = LargeFiles(
            self._boundary, self._how, stop=self._stop, ahead=self._idle,
            progress=self._progress,
        )  # fmt: skip

        def do(stretch: Stretch) -> bytes:
            digest = files.hash(stretch)
            self._stop_if_changed(stretch, digest)
            return digest

        return do

    def _stop_if_changed(self, stretch: Stretch, digest: bytes) -> None:
        if self._expected is None:
            return
        name, shard = stretch.file.name, self._how.shard_size
        start = 0 if shard is None else stretch.start // shard * HASHES[self._how.hash_type]
        if self._expected.get(name, b"")[start : start + len(digest)] != digest:
            self.found.digests[name] = b""
            self._stop.set()


def _batches(files: Files) -> Iterator[Files]:
    for start in range(0, len(files.parts), _BATCH):
        end = start + _BATCH
        yield Files(files.folder, files.names[start:end], files.parts[start:end])


def _divided(listing: Sequence[Files], count: int, shares: int) -> list[list[Files]]:
    """Return `listing`, which has `count` files, in so many shares of about as many files."""
    found: list[list[Files]] = [[] for _ in range(shares)]
    size = -(-count // shares)
    done = 0
    for files in listing:
        start = 0
        while start < len(files.parts):
            end = start + size - done % size
            found[done // size].append(
                Files(files.folder, files.names[start:end], files.parts[start:end])
            )
            taken = min(end, len(files.parts)) - start
            start, done = start + taken, done + taken
    return found


def _raise(name: str, error: int) -> NoReturn:
    if error == CHANGED:
        raise tree.changed(name)
    with translated(name):
        raise OSError(error, os.strerror(error))
