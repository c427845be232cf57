# SPDX-License-Identifier: Apache-2.0
"""Run a notebook from top to bottom and keep its outputs: run_notebook.py NOTEBOOK [--out FILE].

Without --out the outputs go into the notebook itself, so that it reads well where nothing runs it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CELL_SECONDS = 600  # only a cell that hangs; a busy machine starts a model server in minutes
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    notebook = executed(nbformat.read(options.notebook, as_version=4))
    text = nbformat.writes(notebook)
    refuse_secrets(text)
    (options.out or options.notebook).write_text(text.rstrip("\n") + "\n")


def executed(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with the outputs of this run and nothing else about it."""
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook,
            timeout=_CELL_SECONDS,
            kernel_name="python3",
            resources=resources,
            record_timing=False,
        )
        client.execute()
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs with pieces of one stream as one: where they break is chance."""
    found: list[NotebookNode] = []
    for output in outputs:
        last = found[-1] if found else None
        if last and last.get("name") and last.get("name") == output.get("name"):
            last.text += output.text
        else:
            found.append(output)
    return found


def refuse_secrets(text: str) -> None:
    """Exit if the outputs tell a token, or where on this machine they were made."""
    for secret in ("eyJ", str(Path.home()), tempfile.gettempdir(), sys.prefix):
        if secret in text:
            sys.exit(f"the outputs contain {secret!r}")


if __name__ == "__main__":
    main()
