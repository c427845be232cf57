# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [NAME...]`: run all benchmarks, or those named, and print one table."""

from __future__ import annotations

import argparse
import compileall
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

import modelseal
from benchmarks.parts import Sizes

NAMES = ("hashing", "admission", "verifier", "client", "instance", "serving", "growth")
COLUMNS = ("what", "ours", "peer", "limit", "ratio", "target")


def main() -> None:
    options = _parser().parse_args()
    # Where no bytecode is written, every start would compile what changed since the installation.
    compileall.compile_dir(Path(modelseal.__file__).parent, quiet=1)
    sizes = Sizes(options.largest * 1024**2, options.most_files, options.models)
    table = Table(*COLUMNS, title="medians; ratio = ours / peer")
    found = []
    for name in options.names or NAMES:
        print(f"running {name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for row in import_module(f"benchmarks.{name}").rows(Path(folder), sizes):
                table.add_row(*row.cells(), style=None if row.met else "red")
                found.append({**asdict(row), "ratio": row.ratio, "met": row.met})
                print(*row.cells(), sep=" | ", file=sys.stderr)
    Console(width=130).print(table)
    if options.json is not None:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        now = f"{datetime.now(UTC):%Y-%m-%d}"
        document = {"date": now, **about, **asdict(sizes), "rows": found}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    memory = Path("/dev/shm")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=Path, help="Write the figures to this file as well.")
    parser.add_argument(
        "--folder", type=Path, default=memory if memory.is_dir() else None,
        help="Where models are made; by default in memory, not on a disk.",
    )  # fmt: skip
    add = parser.add_argument
    add("--largest", type=int, default=4096, metavar="MIB", help="No file is larger.")
    add("--most-files", type=int, default=100_000, metavar="N", help="No model has more files.")
    add(
        "--models", type=int, default=10_000, metavar="N", help="How many are verified in one call."
    )
    return parser


main()
