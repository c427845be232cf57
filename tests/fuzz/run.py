# SPDX-License-Identifier: Apache-2.0
"""Fuzz one target, guided by coverage: run.py TARGET [options of libFuzzer].

What it finds is written to the current folder; what reaches new code is kept in corpus/TARGET.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["modelseal"]):
    from targets import TARGETS

    from modelseal.errors import ModelSealError


def main() -> None:
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    corpus = Path(__file__).parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)

    def once(data: bytes) -> None:
        with suppress(ModelSealError):
            target(data)

    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
