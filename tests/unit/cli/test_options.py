# SPDX-License-Identifier: Apache-2.0
"""Options: where they may stand, and what is said of those that may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from in_process import invoke

from modelseal import __version__
from modelseal.cli import COMMANDS, command_parser


def test_options_may_stand_between_the_paths():
    options = command_parser("verify").parse(["a", "--key", "k", "b", "--format", "json", "c"])
    assert options.paths == [Path("a"), Path("b"), Path("c")]
    assert options.keys == ["k"]


def test_lists_of_one_parse_are_not_those_of_the_next():
    parser = command_parser("verify")
    assert parser.parse(["a", "--key", "k"]).keys == ["k"]
    assert parser.parse(["a"]).keys == []


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help(arguments):
    done = invoke(*arguments)
    assert done.exit_code == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_fits_a_terminal(name):
    done = invoke(name, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"usage: modelseal {name}")
    options = done.stdout.partition("\noptions:")[2]
    assert all(len(line) <= 80 for line in options.splitlines())


def test_version():
    assert invoke("--version").stdout == f"modelseal {__version__}\n"


@pytest.mark.parametrize(("arguments", "said"), [
    (["nothing"], "invalid choice: 'nothing'"),
    (["verify"], "required: PATH"),
    (["verify", "a", "--nothing"], "unrecognized arguments: --nothing"),
    (["verify", "a", "--ident", "alice"], "unrecognized arguments: --ident\n"),
    (["verify", "a", "--bad\x1b[2J"], r"unrecognized arguments: --bad\x1b[2J"),
    (["verify", "a", "--format", "xml"], "invalid choice: 'xml'"),
    (["diff", "a", "b", "c"], "unrecognized arguments: c"),
    (["key"], "required: COMMAND"),
    (["instance", "up", "--port", "65536"], "no port from 0 to 65535"),
    (["instance", "token"], "required: --identity"),
])  # fmt: skip
def test_a_wrong_call_says_what_is_wrong_and_where_help_is(arguments, said):
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "\x1b" not in done.stderr
    assert "\nhint: modelseal" in done.stderr


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    for number in range(2000):
        (tmp_path / f"file-{number}").write_text("x")
    command = f"{sys.executable} -m modelseal digest {tmp_path} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("sha256:")
    assert done.stderr == ""
