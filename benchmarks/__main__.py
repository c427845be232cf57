# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks [NAME...]`: run all benchmarks, or those named, and print one table."""

from __future__ import annotations

import compileall
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

import modelseal

NAMES = ("client", "verifier", "large_file", "admission", "instance", "serving")


def main() -> None:
    # Where no bytecode is written, every start would compile what changed since the installation.
    compileall.compile_dir(Path(modelseal.__file__).parent, quiet=1)
    table = Table("what", "ours", "peer", "ratio", "goal", title="medians; ratio = ours / peer")
    for name in sys.argv[1:] or NAMES:
        print(f"running {name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            for row in import_module(f"benchmarks.{name}").rows(Path(folder)):
                table.add_row(*row.cells(), style=None if row.met else "red")
    Console(width=110).print(table)


main()
