# SPDX-License-Identifier: Apache-2.0
"""The command line as a user to whom permissions apply, and whom the system does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from in_process import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Command = Sequence[object]

UID = 54321  # of no user

# Root becomes that user; somebody else stays who they are, and the system forgets them. Commands
# are rehearsed before, so that modules are loaded that the user may not be able to read.
_CHILD = """
import json, os, pwd, sys, tempfile
from in_process import invoke

rehearsed, commands, environment, uid = json.load(sys.stdin)
for command in rehearsed:
    invoke(*command)
os.environ.clear()
os.environ.update(environment)
tempfile.tempdir = None
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
else:
    def nobody(uid):
        raise KeyError(uid)
    pwd.getpwuid = nobody
print(json.dumps([invoke(*command) for command in commands]))
"""


@contextmanager
def public_folder() -> Iterator[Path]:
    """Give a temporary folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def run_as_user(
    commands: Sequence[Command],
    env: Mapping[str, str],
    *,
    rehearsed: Sequence[Command],
    rehearsal_env: Mapping[str, str] | None = None,
) -> list[Result]:
    """Return how each command ends for a user whose environment is just `env`, and PATH."""
    told = [
        [[str(word) for word in command] for command in rehearsed],
        [[str(word) for word in command] for command in commands],
        {"PATH": os.environ["PATH"], **env},
        UID,
    ]
    helpers = {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], input=json.dumps(told), text=True, capture_output=True,
        env=os.environ | helpers | dict(rehearsal_env or {}), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Result(*one) for one in json.loads(done.stdout)]
