# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import pickle
import pickletools
import signal
from pathlib import Path

import pytest
from patience import wait_until
from rich.console import Console

from modelseal.cli import demo
from modelseal.cli._demo import children, telling
from modelseal.cli._demo.signing import Payload
from modelseal.cli._demo.story import STEPS
from modelseal.cli._demo.telling import NotAsTold, Step


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


def fine(_stage: None) -> str:
    return "fine"


def wrong(_stage: None) -> str:
    raise NotAsTold("something else\nwith details")


def test_the_story_stops_at_the_first_step_that_is_not_as_told(console):
    steps = [Step(title, "", "fine", run) for title, run in
             (("one", fine), ("two", wrong), ("three", fine))]  # fmt: skip

    assert telling.tell(steps, None, console) is False

    table = console.file.getvalue().partition("step by step")[2]
    rows = {line.split()[1]: line for line in table.splitlines() if line.strip()[:1].isdigit()}
    assert rows["one"].split()[-1] == "yes"
    assert "something else" in rows["two"]
    assert rows["two"].split()[-1] == "NO"
    assert "not tried" in rows["three"]


def test_all_steps_as_told(console):
    assert telling.tell([Step("one", "", "fine", fine)], None, console) is True


def test_commands_fold_between_options_and_stay_runnable(console):
    words = ["modelseal", "verify", "a b", *(f"--option-{n}=" + "x" * 20 for n in range(5))]
    telling.show_command(console, [*words, "--issuer", "http://127.0.0.1:8100"])

    said = console.file.getvalue()
    assert max(map(len, said.splitlines())) <= 80
    assert "'a b'" in said
    joined = said.replace("\\\n", " ").split()
    assert joined[-2:] == ["--issuer", "http://127.0.0.1:8100"]


def test_the_payload_would_run_a_command_and_is_small():
    payload = pickle.dumps(Payload(), protocol=4)

    names = [argument for _, argument, _ in pickletools.genops(payload) if argument]
    assert names[1:] == [names[1], "posix", "system", "env > pwnd.txt"]
    assert len(payload) < 60


def test_steps_have_a_title_that_fits_the_table():
    assert all(len(step.title) <= 24 and len(step.told) <= 20 for step in STEPS)


def test_children_are_not_sent_through_proxies_and_not_reconfigured(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("MLSERVER_HTTP_PORT", "1")
    monkeypatch.setenv("HOME", os.environ.get("HOME", "/"))

    found = children.environment({"MODELSEAL_IDENTITY_TOKEN": "t"})

    assert not {"http_proxy", "HTTPS_PROXY", "MLSERVER_HTTP_PORT"} & found.keys()
    assert found["MODELSEAL_IDENTITY_TOKEN"] == "t"
    assert "HOME" in found


def test_a_child_that_ends_early_is_told_with_its_last_words(tmp_path):
    log = tmp_path / "log"
    with children.Children(children.Ending()) as started:
        child = started.start(["sh", "-c", "echo gone; exit 3"], tmp_path, log)
        with pytest.raises(children.NotStarted, match="exit code 3:\ngone"):
            children.wait_until(lambda: False, child, log)


def test_children_of_children_end_too(tmp_path):
    log = tmp_path / "log"
    command = ["sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait"]
    with children.Children(children.Ending()) as started:
        child = started.start(command, tmp_path, log)
        children.wait_until(lambda: "\n" in log.read_text(), child, log)
        grandchild = Path("/proc", log.read_text().strip())
        assert grandchild.exists()

    wait_until(lambda: ended(grandchild), "the grandchild to end")


def ended(process: Path) -> bool:
    try:
        status = (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "State:\tZ" in status  # nobody has reaped it yet


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_a_signal_waits_until_a_child_is_known_and_then_unwinds_once(number, raised):
    before = signal.getsignal(number)
    known = []

    def interrupted() -> None:
        with children.Ending() as ending:
            try:
                with ending.held():
                    signal.raise_signal(number)
                    known.append("child")
            finally:
                signal.raise_signal(number)  # impatient

    with pytest.raises(raised):
        interrupted()
    assert known
    assert signal.getsignal(number) is before


def test_free_ports_are_different():
    assert len(set(children.free_ports(3))) == 3


@pytest.mark.parametrize(
    ("missing", "version", "hint"),
    [
        (["sklearn"], (3, 13), "Install them with: pip install 'modelseal[demo]'"),
        (["mlserver"], (3, 12), "Install them with: pip install 'modelseal[demo]'"),
        (
            ["mlserver"], (3, 13),
            "MLServer needs Python 3.12 or older. With that: pip install 'modelseal[demo]'",
        ),
    ],
)  # fmt: skip
def test_what_to_do_about_missing_packages(missing, version, hint):
    assert demo._how_to_install(missing, version) == hint
