# SPDX-License-Identifier: Apache-2.0
"""Which formats can be looked into: those that hold tensors and run nothing when they are read.

Pickles and what contains them (PyTorch, joblib) are left out, as only running them says what they
are; so is ONNX, whose initializers may lie in the graph, in its functions and in other files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.model import gguf, npz, safetensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelseal.model.diff import ManifestDiff

BY_SUFFIX: dict[str, Callable[[Path, Path], ManifestDiff]] = {
    ".safetensors": safetensors.compare,
    ".gguf": gguf.compare,
    ".npz": npz.compare,
    ".npy": npz.compare_arrays,
}


def compare(name: str, old: Path, new: Path) -> ManifestDiff | None:
    """Return by tensor what differs between two files called `name`; None for other formats.

    Raises:
        FormatError: one is not what the name says. UsageError, Undecided: see the formats.
    """
    for suffix, inner in BY_SUFFIX.items():
        if name.endswith(suffix):
            return inner(old, new)
    return None
