# SPDX-License-Identifier: Apache-2.0
"""Write the table of known holes into docs/servers.md, below what is said by hand."""

from __future__ import annotations

from pathlib import Path

from modelseal.servers import holes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "servers.md"

MARK = "<!-- Below: the table of known holes, written by scripts/make_holes_docs.py -->\n"
_INTRODUCTION = """
## Known holes

A command that opens one is refused with its explanation. To allow it, name it in the policy:

    [exec]
    allow_holes = ["triton-model-control"]

`trust-remote-code` is different: even if it is allowed, all code that the model's configuration
names must be in the signed files.

| server | hole | opened by | what happens then | instead |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the text of docs/servers.md."""
    by_hand = PAGE.read_text().partition(MARK)[0]
    known = holes.table()
    rows = "".join(_row(hole, known.servers[hole.server]) for hole in known.holes)
    return by_hand + MARK + _INTRODUCTION + rows


def _row(hole: holes.Hole, server: holes.Server) -> str:
    by = [f"`{one}`" for one in (*hole.options, *hole.variables)]
    if hole.values and by:
        by[-1] += f" with {', '.join(f'`{one}`' for one in hole.values)}"
    by += [f"words like `{one}`".replace("|", "\\|") for one in hole.words]
    if hole.missing:
        by.append(f"the lack of `{hole.missing[0]}`")
    if hole.always:
        by.append("every command")
    cells = (
        server.title,
        f"[`{hole.name}`]({hole.source})",
        ", ".join(by),
        hole.does,
        hole.instead,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
