# SPDX-License-Identifier: Apache-2.0
"""Fuzz one target, guided by coverage: run.py TARGET [options of libFuzzer].

TARGET=all takes one after the other, each in a process of its own, and wants an option that ends
it, such as -max_total_time=60. What is found is written to the folder of -artifact_prefix; what
reaches new code is kept in corpus/TARGET.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["modelseal"]):
    import instance_targets
    import targets

    from modelseal.errors import ModelSealError


TARGETS = {**targets.TARGETS, **instance_targets.TARGETS}


def main() -> None:
    name, *options = sys.argv[1:]
    if name == "all":
        sys.exit(each(options))
    target = TARGETS[name]
    corpus = Path(__file__).parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)

    def once(data: bytes) -> None:
        with suppress(ModelSealError):
            target(data)

    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


def each(options: list[str]) -> int:
    """Fuzz every target; return how many found something."""
    failed = []
    for name in TARGETS:
        print(f"==> {name}", flush=True)
        if subprocess.run([sys.executable, __file__, name, *options], check=False).returncode:
            failed.append(name)
    print("==> found something:", ", ".join(failed) if failed else "nothing")
    return len(failed)


if __name__ == "__main__":
    main()
