# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells: keys are typed at a terminal, and the command says what it got."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
from contextlib import contextmanager

import pytest
from in_process import invoke
from patience import PATIENCE

from modelseal.cli import COMMANDS, command_parser, top_parser

SHELLS = ("bash", "zsh", "fish")
_ESCAPES = re.compile(
    r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][B0]?"
)

# The command prints each of its arguments between < and >, instead of running modelseal.
START = {
    "bash": """modelseal() { printf '<%s>' "$@"; echo; }\n""",
    "zsh": (
        "autoload -U compinit; compinit -u -D; unsetopt prompt_sp prompt_cr\n"
        """modelseal() { printf '<%s>' "$@"; echo }\n"""
    ),
    "fish": "function modelseal; printf '<%s>' $argv; echo; end\n",
}
COMMAND = {"bash": "bash --noprofile --norc -i", "zsh": "zsh -f -i", "fish": "fish --no-config -i"}


def arguments_of(parser):
    """Return every option and command that `parser` takes."""
    found = set()
    for action in parser._actions:
        found |= {*action.option_strings, *map(str, action.choices or ())}
        if isinstance(action.choices, dict) and not action.option_strings:
            for command in action.choices.values():
                found |= arguments_of(command) if hasattr(command, "_actions") else set()
    return found


def script(shell):
    done = invoke("completion", shell)
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_the_script(shell):
    text = script(shell)
    for name in COMMANDS:
        for one in arguments_of(command_parser(name)):
            bare = one.lstrip("-") if shell == "fish" else one
            assert re.search(rf"(?<![\w-]){re.escape(bare)}(?![\w-])", text), f"{name} {one}"
    assert all(name in text for name in arguments_of(top_parser()) if shell != "fish")


class Terminal:
    """A shell at a terminal."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def type(self, keys):
        os.write(self._descriptor, keys.encode())

    def wait_for(self, pattern):
        """Return the match of `pattern` in what the shell has written from now on."""
        seen = ""
        while not (match := re.search(pattern, _ESCAPES.sub("", seen))):
            ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
            assert ready, f"the shell wrote nothing more than {seen!r}"
            seen += os.read(self._descriptor, 65536).decode(errors="replace")
        return match


@contextmanager
def terminal(command, folder):
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(folder)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PS1": "$ ",
            "LC_ALL": "C.UTF-8", "HISTFILE": "", "fish_greeting": "",
        }  # fmt: skip
        os.execvpe(command[0], command, environment)
    try:
        yield Terminal(descriptor)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(descriptor)


@pytest.fixture(scope="module", params=SHELLS)
def complete(request, tmp_path_factory):
    """Give a function from the keys that are typed to the arguments that the command got."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder = tmp_path_factory.mktemp(shell)
    (folder / "my-folder").mkdir()
    for name in ("release.pub", "my model.bin"):
        (folder / name).touch()
    (folder / "script").write_text(script(shell))
    with terminal(COMMAND[shell].split(), folder) as shown:
        shown.type(f"{START[shell]}source {folder}/script\necho re'ad'y\n")
        shown.wait_for("ready")

        def call(keys):
            shown.type(f"modelseal {keys}\n")
            return re.findall(r"<([^>]*)>", shown.wait_for(r"\n((?:<[^>\n]*>)+)\r?\n")[1])

        yield call


@pytest.mark.parametrize(("keys", "arguments"), [
    ("ver\t", ["verify"]),
    ("verify --iss\t", ["verify", "--issuer"]),
    ("verify --certificate-i\t", ["verify", "--certificate-identity"]),
    ("verify --format j\t", ["verify", "--format", "json"]),
    ("verify --format=j\t", ["verify", "--format=json"]),
    ("verify --key rel\t", ["verify", "--key", "release.pub"]),
    ("verify my\\ m\t", ["verify", "my model.bin"]),
    ("verify --identity a --stag\t", ["verify", "--identity", "a", "--staging"]),
    ("verify my-fold\t --iss\t", ["verify", "my-folder/", "--issuer"]),
    ("inst\t up --h\to\t 127.0.0.1", ["instance", "up", "--host", "127.0.0.1"]),
    ("instance hash\t", ["instance", "hash-password"]),
    ("instance up --data my-\t", ["instance", "up", "--data", "my-folder/"]),
    ("instance up --log-format t\t", ["instance", "up", "--log-format", "text"]),
    ("key gen\t --type ed\t", ["key", "generate", "--type", "ed25519"]),
    ("completion fi\t", ["completion", "fish"]),
])  # fmt: skip
def test_in_a_shell(complete, keys, arguments):
    found = complete(keys)
    assert [one.rstrip("/") for one in found] == [one.rstrip("/") for one in arguments]


@pytest.mark.parametrize("keys", ["verify --identity rel\t", "instance token --identity rel\t"])
def test_a_value_that_is_not_a_file_gets_no_file(complete, keys):
    assert complete(keys)[-1] == "rel"
