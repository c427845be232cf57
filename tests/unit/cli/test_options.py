# SPDX-License-Identifier: Apache-2.0
"""Options: where they may stand, and what is said of those that may not."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option):
    assert invoke(option).stdout == f"modelseal {__version__}\n"


def test_help_as_a_command():
    assert invoke("help").stdout == invoke("--help").stdout
    assert invoke("help", "verify").stdout == invoke("verify", "--help").stdout
    inner = invoke("help", "instance", "token")
    assert inner.stdout.startswith("usage: modelseal instance token ")
    assert "no command 'verfy'" in invoke("help", "verfy").stderr


WRONG = [
    (["nothing"], "unknown-command", "'modelseal' has no command 'nothing'."),
    (["verify"], "bad-usage", "required: PATH."),
    (["verify", "a", "--nothing"], "unknown-option", "has no option '--nothing'."),
    (["verify", "--bad\x1b[2J"], "unknown-option", r"has no option '--bad\x1b[2J'."),
    (["verify", "a", "-x"], "unknown-option", "has no option '-x'."),
    (["verify", "a", "--format", "xml"], "bad-usage", "invalid choice: 'xml'"),
    (["verify", "a", "--format"], "bad-usage", "Argument --format: expected one argument."),
    (["diff", "a", "b", "c"], "bad-usage", "an argument too many, 'c'."),
    (["key"], "bad-usage", "required: COMMAND."),
    (["instance", "up", "--port", "65536"], "bad-usage", "not a port from 0 to 65535."),
    (["instance", "token"], "bad-usage", "required: --identity."),
]


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG)
def test_a_wrong_call_says_what_is_wrong_and_where_help_is(arguments, code, message):
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"[{code}]" in done.stderr
    assert message in done.stderr
    assert "\x1b" not in done.stderr
    assert "See: modelseal" in done.stderr.splitlines()[1]


@pytest.mark.parametrize(("arguments", "near"), [
    (["verfy", "a"], "verify"),
    (["halp"], "help"),
    (["verify", "a", "--ident", "alice"], "--identity"),
    (["sign", "--overwite", "a"], "--overwrite"),
    (["sign", "--trustconfig=x"], "--trust-config"),
    (["key", "genrate"], "generate"),
    (["key", "generate", "--tpye", "p256"], "--type"),
    (["instance", "tokn"], "token"),
    (["instance", "token", "--identiy", "alice"], "--identity"),
])  # fmt: skip
def test_what_is_unknown_suggests_the_nearest(arguments, near):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert f"hint: Did you mean '{near}'? See: modelseal" in done.stderr


@pytest.mark.parametrize("format_", [["--format", "json"], ["--format=json"]])
@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["nothing"], "unknown-command", "'modelseal' has no command 'nothing'."),
    (["verify"], "bad-usage", "The following arguments are required: PATH."),
    (["verify", "a"], "whose-signature", "Say who must have signed"),
    (["verify", "a", "--nothing"], "unknown-option", "'modelseal verify' has no option"),
    (["sign", "a", "--shard-size", "x"], "bad-usage", "Argument --shard-size: invalid int value"),
    (["diff", "a"], "bad-usage", "The following arguments are required: NEW."),
    (["key"], "unknown-option", "'modelseal key' has no option '--format'."),
    (["instance", "token"], "unknown-option", "'modelseal instance token' has no option"),
])  # fmt: skip
def test_a_wrong_call_is_answered_in_json(arguments, code, message, format_):
    known = None if arguments == ["nothing"] else " ".join(arguments).partition(" a")[0]
    calls = [[*arguments, *format_], [arguments[0], *format_, *arguments[1:]]]
    for call in calls if known in {"verify", "sign", "diff"} else calls[:1]:
        done = invoke(*call)
        document = json.loads(done.stdout)
        assert (done.exit_code, done.stderr) == (2, "")
        assert (document["schema"], document["command"], document["exit_code"]) == (1, known, 2)
        assert document["error"]["code"] == code
        assert document["error"]["message"].startswith(message)
        assert document["error"]["hint"]


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    for number in range(2000):
        (tmp_path / f"file-{number}").write_text("x")
    command = f"{sys.executable} -m modelseal digest {tmp_path} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("sha256:")
    assert done.stderr == ""
