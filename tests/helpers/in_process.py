# SPDX-License-Identifier: Apache-2.0
"""The command line in this process: what it prints and the code that it ends with."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from modelseal.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


LISTS = ("verdicts", "signed", "bundles")


def answers(text: str) -> list[dict[str, Any]]:
    """Return what is in the JSON document `text`: verdicts and the like, or one error."""
    document = json.loads(text)
    if "error" in document:
        return [document["error"]]
    return next(document[name] for name in LISTS if name in document)


def invoke(*arguments: object, env: Mapping[str, str | None] | None = None) -> Result:
    """Return how `modelseal ARGUMENTS` ends; nothing but SystemExit may come out.

    A variable of `env` that is None is not set.
    """
    wanted: dict[str, str | None] = {**os.environ, **(env or {})}
    known = {name: value for name, value in wanted.items() if value is not None}
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with patch.dict(os.environ, known, clear=True), redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as ended:
            code = ended.code
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Result(code if isinstance(code, int) else 1, *said)
