# SPDX-License-Identifier: Apache-2.0
"""Which folders are models, by the places and names that whoever wrote them chose.

    MODELS/NAME/             one model
    MODELS/NAME/VERSION/     one version of it; VERSION is a number, perhaps with more behind it
    MODELS/TEAM/.../NAME/    one model in folders that only keep order, with versions or without
    MODELS/                  one model, if no folder in it is one

A folder with a signature or settings is a model and not looked into. None of this is believed: the
signed settings must have the name and the version, so moving a model elsewhere gains nothing.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, ModelSealError
from modelseal.files import exists, read_untrusted
from modelseal.formats.strict import parse_json
from modelseal.model import bundles, names
from modelseal.model.tree import LOST_AND_FOUND
from modelseal.servers import settings

if TYPE_CHECKING:
    from pathlib import Path

_MAX_NAME = 255  # bytes; NAME_MAX of Linux
_MAX_DEPTH = 4  # folders below `models` that only keep order
_MAX_ENTRIES = 1024  # of a folder below `models`; one with more is a model itself
_MAX_FOLDERS = 20_000  # that are looked at altogether
_VERSION = re.compile(r"v?[0-9][A-Za-z0-9._-]{0,99}")


class ModelFolder(NamedTuple):
    """A folder that is to be the model `name`, or the `version` of it; alone unless ambiguous."""

    path: Path
    name: str
    version: str | None = None
    is_ambiguous: bool = False

    def check(self) -> None:
        """Check that no other folder is to be the same model.

        Raises:
            FormatError: there is one, and nobody could tell which is meant ("ambiguous-model").
        """
        if self.is_ambiguous:
            raise FormatError(
                "ambiguous-model",
                "Several folders have the name of this model.",
                "Leave one of them, or give each a version in a folder of its own.",
            )


def model_folders(models: Path) -> list[ModelFolder]:
    """Return what is to be a model below `models`, by name and version; a link is listed, too.

    Raises:
        OSError: the folder cannot be listed.
    """
    walk = _Walk(models)
    found = walk.below(models, _subfolders(models, None), depth=0)
    if not walk.met_a_model and _has_signs(models):
        found = [ModelFolder(models, _claimed_name(models))]
    count = Counter((one.name, one.version) for one in found)
    marked = (one._replace(is_ambiguous=count[one.name, one.version] > 1) for one in found)
    return sorted(marked, key=lambda one: (one.name, one.version or "", one.path))


class _Walk:
    """One walk, which counts what it met."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._left = _MAX_FOLDERS
        self.met_a_model = False  # one with a signature or settings

    def below(self, folder: Path, inner: list[str], depth: int) -> list[ModelFolder]:
        """Return the models in the folders `inner` of `folder`."""
        return [one for name in inner for one in self._at(folder / names.to_disk(name), depth)]

    def _at(self, path: Path, depth: int) -> list[ModelFolder]:
        self._left -= 1
        if path.is_symlink() or depth == _MAX_DEPTH or self._left < 0:
            return [self._model(path)]
        if _has_signs(path):
            self.met_a_model = True
            return [self._model(path)]
        before, self.met_a_model = self.met_a_model, False
        try:
            found = self.below(path, _subfolders(path, _MAX_ENTRIES), depth + 1)
        except OSError:  # unreadable, or gone: admitting it says so
            found = []
        has_models, self.met_a_model = self.met_a_model, self.met_a_model or before
        return found if has_models else [self._model(path)]

    def _model(self, path: Path) -> ModelFolder:
        """Return what the folder is by its place: a version only below another folder."""
        name, parent = names.text(path.name), path.parent
        if parent != self._models and _VERSION.fullmatch(name):
            return ModelFolder(path, names.text(parent.name), name)
        return ModelFolder(path, name)


def _subfolders(folder: Path, most: int | None) -> list[str]:
    """Return the names of the folders in `folder`, and of links; none if it has too many entries.

    A name that is not UTF-8 is not printable, so it is no model's.
    """
    with os.scandir(folder) as entries:
        found = list(islice(entries, None if most is None else most + 1))
    if most is not None and len(found) > most:
        return []
    inner = (names.text(one.name) for one in found if one.is_symlink() or _is_folder(one))
    return sorted(name for name in inner if is_plain(name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def is_plain(name: str) -> bool:
    """Return whether a model can have this name."""
    plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return bool(name) and plain and len(name.encode()) <= _MAX_NAME and name != LOST_AND_FOUND


def _has_signs(folder: Path) -> bool:
    """Return whether something in the folder says that it is a model."""
    try:
        if exists(folder / settings.FILE_NAME):
            return True
        found = bundles.in_folder(folder, _MAX_ENTRIES)
    except ModelSealError:
        return False
    return bool(found.named or found.oms)


def _claimed_name(folder: Path) -> str:
    """Return the name of the one model that a server serves, wherever it was mounted.

    It is read from settings that nobody has verified yet; they must turn out to be the signed ones.
    """
    try:
        data = read_untrusted(folder / settings.FILE_NAME, settings.LIMIT, settings.FILE_NAME)
        claimed = parse_json(data, what=settings.FILE_NAME, limit=settings.LIMIT)
    except ModelSealError:
        claimed = None
    name = claimed.get("name") if isinstance(claimed, dict) else None
    return name if isinstance(name, str) and is_plain(name) else names.text(folder.name)
