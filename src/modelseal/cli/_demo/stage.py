# SPDX-License-Identifier: Apache-2.0
"""What the steps of the story act on: a folder, child processes, a server to talk to."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelseal.cli._demo import telling
from modelseal.cli._demo.children import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from modelseal.cli._demo.children import Children

# No proxies: what the story talks to is on loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Stage:
    """The props of one telling; steps fill in what later steps need.

    `folder` is where everything is written, `workers` is MLServer's number of them.
    """

    folder: Path
    console: Console
    children: Children
    workers: int
    issuer: str = ""
    token: str = ""
    server: str = ""
    images: list[list[float]] = field(default_factory=list)
    predictions: list[int] = field(default_factory=list)

    def run(self, *words: str, quiet: bool = False) -> tuple[int, str]:
        """Show a command, run it, show what it said; return its exit code and that."""
        telling.show_command(self.console, words)
        extra = {"MODELSEAL_IDENTITY_TOKEN": self.token} if self.token else {}
        code, said = self.children.run(words, self.folder, extra)
        if code or not quiet:
            telling.show_output(self.console, said)
        return code, said

    def expect_success(self, *words: str, quiet: bool = False) -> str:
        """Return what the command said; otherwise as `run`.

        Raises:
            NotAsTold: it failed.
        """
        code, said = self.run(*words, quiet=quiet)
        if code:
            raise telling.NotAsTold(f"'{' '.join(words[:2])}' ended with {code}")
        return said

    def post(self, path: str, body: Mapping[str, Any], file: str = "") -> tuple[int, Any]:
        """Show a request to the model server, make it, return status and parsed JSON.

        A `body` that is too long to show goes into `file`, as it would for a user.
        """
        url = self.server + path
        data = json.dumps(body)
        if file:
            (self.folder / file).write_text(data)
        telling.show_command(self.console, ["curl", "--json", f"@{file}" if file else data, url])
        request = urllib.request.Request(  # noqa: S310 - our own http address
            url, data.encode(), {"Content-Type": "application/json"}
        )
        try:
            with _OPENER.open(request, timeout=PATIENCE) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read()
        except OSError as error:
            raise telling.NotAsTold(f"the server did not answer: {error}") from error
        try:
            return status, json.loads(said) if said.strip() else {}
        except ValueError as error:
            raise telling.NotAsTold(f"{status}, and no JSON: {said[:80]!r}") from error

    def ready(self) -> bool:
        """Return whether the model server takes requests."""
        try:
            with _OPENER.open(f"{self.server}/v2/health/ready", timeout=30) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 - OK
        except OSError:
            return False

    def show(self, said: str) -> None:
        """Show what happened."""
        telling.show_output(self.console, said)

    def show_source(self, source: str) -> None:
        """Show lines that a user would write."""
        telling.show_source(self.console, source)
