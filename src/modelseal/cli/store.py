# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal store`: look after the verified copies that servers load from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    UNDECIDED,
    answer,
    is_quiet,
    note,
    print_document,
    styled,
)
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.admission.upkeep import Checked, Stored
    from modelseal.cli._options import Options, Parser

HELP = """\
Look after the store: the verified copies that servers load models from.

Nothing is removed that a process uses: servers hold what they loaded.

Examples:
  modelseal store list --store /var/lib/mlserver/store
  modelseal store verify
  modelseal store gc --keep-days 30 --max-size 200GB
  modelseal store remove 3f9a52c1
"""

_VERIFY = """\
Hash every copy again, or those named, and compare it with what was admitted.

Exit code: 0 all are unchanged, 1 one was altered, 3 one cannot be read.
"""
_GC = """\
Remove copies that no process uses, and what killed processes left behind.

With --keep-days copies go that nobody asked for in so many days; with
--max-size the least recently used, until the rest fits. With neither it is
--keep-days 30.
"""
_DAYS = 30
_SHOWN = 12  # characters of a digest
_STATES = {"unchanged": ACCEPTED, "altered": REFUSED, "unreadable": UNDECIDED}


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    commands = parser.commands()
    listing = commands.add_parser(
        "list", help="List the copies, the least recently used first.",
        description="List the copies, the least recently used first.",
    )  # fmt: skip
    listing.set_defaults(command=_list)
    verify = commands.add_parser(
        "verify", help="Find copies that were altered.", description=_VERIFY
    )
    verify.set_defaults(command=_verify)
    verify.add_argument(
        "digests", nargs="*", metavar="DIGEST", help="These copies; by default all of them."
    )
    collect = commands.add_parser("gc", help="Remove what is no longer used.", description=_GC)
    collect.set_defaults(command=_gc)
    collect.add_argument(
        "--keep-days", type=_days, metavar="N", help="Keep what was asked for in the last N days."
    )
    collect.add_argument("--max-size", metavar="SIZE", help="Keep at most so much, such as 200GB.")
    remove = commands.add_parser(
        "remove", help="Remove one copy.",
        description="Remove one copy. The next admission of its model makes it anew.",
    )  # fmt: skip
    remove.set_defaults(command=_remove)
    remove.add_argument("digest", metavar="DIGEST", help="Its digest, or how it begins.")
    for command in (listing, verify, collect, remove):
        command.add_argument(
            "--store", type=Path, metavar="DIR", help="The store. [default: that of this user]"
        )
        add_format(command)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError("bad-usage", f"'{shown(text)}' is no number of days.", "Such as 30.")
    return int(text[:9])


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    code: int = options.command(options, _store(options))
    return code


def _store(options: Options) -> Path:
    from modelseal.admission import upkeep
    from modelseal.admission.store import default_folder

    return upkeep.opened(options.store or default_folder())


def _list(options: Options, store: Path) -> int:
    from modelseal.admission import upkeep

    found = upkeep.listed(store)
    if options.output == "json":
        _print_stored("store list", store, found)
        return ACCEPTED
    for one in found:
        answer(f"{one.digest[:_SHOWN]}  {_size(one.size):>8}  {_time(one):%Y-%m-%d %H:%M}  "
               f"{'in use' if one.in_use else '      '}  {shown(one.model)}")  # fmt: skip
    note(f"{_count(found)} in {shown(str(store))}, {_size(sum(one.size for one in found))}")
    return ACCEPTED


def _verify(options: Options, store: Path) -> int:
    from modelseal.admission import upkeep
    from modelseal.cli._progress import byte_progress
    from modelseal.model.digests import Reading

    wanted = [upkeep.named(store, one) for one in options.digests] or upkeep.digests(store)
    with byte_progress("Verifying", [store / one for one in wanted]) as progress:
        reading = Reading(progress=progress)
        found = [upkeep.verify(store, one, reading) for one in wanted]
    states = {one.state for one in found}
    code = next((_STATES[one] for one in ("altered", "unreadable") if one in states), ACCEPTED)
    if options.output == "json":
        print_document(
            "store verify", code, store=str(store), snapshots=[_checked_to_dict(o) for o in found]
        )
        return code
    for one in found:
        name = f"{one.digest[:_SHOWN]} {shown(one.model)}"
        if one.state != "unchanged":
            answer(f"{styled(one.state.upper() + ' ', 'red')}{name}: {shown(one.detail, 1000)}")
        elif not is_quiet():
            answer(f"{styled('OK ', 'green')}{name}")
    note(f"{_count(found)}, {sum(o.state != 'unchanged' for o in found)} not as admitted")
    return code


def _gc(options: Options, store: Path) -> int:
    from modelseal.admission import upkeep
    from modelseal.policy.reading import parse_size

    limit = None if options.max_size is None else parse_size(options.max_size)
    days = options.keep_days
    if days is None and limit is None:
        days = _DAYS
    return _print_removed(
        options, "store gc", store, upkeep.collect(store, keep_days=days, max_size=limit)
    )


def _remove(options: Options, store: Path) -> int:
    from modelseal.admission import upkeep

    return _print_removed(options, "store remove", store, [upkeep.remove(store, options.digest)])


def _print_removed(options: Options, name: str, store: Path, found: Sequence[Stored]) -> int:
    if options.output == "json":
        _print_stored(name, store, found)
        return ACCEPTED
    if not is_quiet():
        for one in found:
            answer(f"REMOVED {one.digest[:_SHOWN]} {shown(one.model)} ({_size(one.size)})")
    note(f"{_count(found)} removed, {_size(sum(one.size for one in found))}")
    return ACCEPTED


def _print_stored(name: str, store: Path, found: Sequence[Stored]) -> None:
    print_document(name, ACCEPTED, store=str(store), snapshots=[_to_dict(one) for one in found])


def _to_dict(one: Stored) -> dict[str, Any]:
    return {**one._asdict(), "last_used": _time(one).isoformat()}


def _checked_to_dict(one: Checked) -> dict[str, Any]:
    return one._asdict()


def _time(one: Stored) -> datetime:
    return datetime.fromtimestamp(one.last_used, UTC)


def _size(size: int) -> str:
    from modelseal.model.diff import size_text

    return size_text(size)


def _count(found: Sequence[object]) -> str:
    return "1 copy" if len(found) == 1 else f"{len(found)} copies"
