# SPDX-License-Identifier: Apache-2.0
"""What a bend is, and how each part of what is to be made is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forging import bundles, logs
from forging.bundles import Made

if TYPE_CHECKING:
    from forging.issuing import Sct
    from forging.logs import Body, Log

Bend = Callable[[Made], Made]


def leaf(**changes: Any) -> Bend:
    return lambda made: replace(made, leaf=replace(made.leaf, **changes))


def sct(*items: Sct) -> Bend:
    return leaf(scts=items)


def entry(**changes: Any) -> Bend:
    return lambda made: replace(made, entry=replace(made.entry, **changes))


def entry_by(change: Callable[[logs.Entry], dict[str, Any]]) -> Bend:
    return lambda made: replace(made, entry=replace(made.entry, **change(made.entry)))


def checkpoint(**changes: Any) -> Bend:
    return lambda made: replace(
        made,
        entry=replace(made.entry, checkpoint=replace(made.entry.checkpoint, **changes)),
    )


def checkpoint_by(change: Callable[[Log], dict[str, Any]]) -> Bend:
    return lambda made: checkpoint(**change(made.entry.log))(made)


def stamp(**changes: Any) -> Bend:
    """Change the first timestamp; add one where there is none."""
    return lambda made: replace(
        made,
        stamps=(replace((*made.stamps, bundles.Stamp())[0], **changes), *made.stamps[1:]),
    )


def more_stamps(*added: bundles.Stamp) -> Bend:
    return lambda made: replace(made, stamps=(*made.stamps, *added))


def made_with(**changes: Any) -> Bend:
    return lambda made: replace(made, **changes)


def root(change: Callable[[Body], Any]) -> Bend:
    return lambda made: replace(made, root=(*made.root, change))


def written(change: Callable[[Body], Any]) -> Bend:
    return lambda made: replace(made, bundle=(*made.bundle, change))


def relogged(change: Callable[[Body], Any]) -> Bend:
    """Log another body than the honest one, with a proof and a promise of its own."""
    return entry_by(lambda e: {"changes": (*e.changes, change)})
