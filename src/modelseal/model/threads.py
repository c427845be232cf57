# SPDX-License-Identifier: Apache-2.0
"""Do many tasks in several threads, and stop at once when one fails or Ctrl-C is pressed."""

from __future__ import annotations

import os
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 2.0  # seconds for a thread to see that it is to stop; it may hang in a read


class Stopped(Exception):  # noqa: N818 - no error: somebody else has one, or the answer is known
    """What a task raises when it sees that it is to stop."""


class Stop:
    """Whether work is to end, which threads look at. No Event: few calls have threads."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Say that it is to end."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether it is to end."""
        return self._is_set


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def has_threads() -> bool:
    """Return whether this process has more threads than one, Python's or those of a library."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir()) > 1
    except OSError:  # not Linux
        import threading  # noqa: PLC0415 - 2 ms that few calls need

        return threading.active_count() > 1


def in_threads(
    begin: Callable[[], Callable[[T], R]], tasks: Sequence[T], workers: int, stop: Stop
) -> list[R | None]:
    """Return what each of `tasks` gave, in their order, done by up to `workers` threads.

    The calling thread is one of them. Each calls `begin` once for what does its tasks. When `stop`
    is set no task is begun, and a task that is being done should look at it and raise `Stopped`;
    what was not done is None.

    Raises:
        Exception: the first that a task raised. KeyboardInterrupt: Ctrl-C was pressed.
    """
    todo = deque(enumerate(tasks))
    results: list[R | None] = [None] * len(tasks)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            do = begin()
            while not stop.is_set() and (next_one := _taken(todo)):
                index, task = next_one
                results[index] = do(task)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised below, in the calling thread
            errors.append(error)
            stop.set()

    with _beside(work, min(workers, len(tasks)) - 1, stop):
        work()
    if errors:
        raise errors[0]
    return results


def _taken(todo: deque[T]) -> T | None:
    """Return the next one, which no other thread gets."""
    try:
        return todo.popleft()
    except IndexError:
        return None


def start_thread(work: Callable[[], None]) -> threading.Thread:
    """Return a new thread that does `work`, and that no process waits for when it ends."""
    import threading  # noqa: PLC0415 - 2 ms that few calls need

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@contextmanager
def _beside(work: Callable[[], None], count: int, stop: Stop) -> Iterator[None]:
    """Have `count` threads do `work` as well, to its end or until Ctrl-C is pressed."""
    started: list[threading.Thread] = []
    try:
        for _ in range(count):
            started.append(start_thread(work))  # noqa: PERF401 - each is waited for
        yield
        for thread in started:
            thread.join()
    except BaseException:
        stop.set()
        for thread in started:
            thread.join(PATIENCE)
        raise
