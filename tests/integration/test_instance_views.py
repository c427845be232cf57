# SPDX-License-Identifier: Apache-2.0
"""What an operator and a monitoring system see of an instance."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing

import output_schema
import pytest
from in_process import invoke

ALICE, BOB = "alice@example.com", "https://ci.example.com/bob"


@pytest.fixture(scope="module")
def used(tmp_path_factory, start_instance):
    """A running instance with which two people signed, and its folder."""
    folder = tmp_path_factory.mktemp("used")
    with start_instance(folder) as instance:
        for number, who in enumerate((ALICE, BOB, ALICE)):
            path = folder / f"artifact-{number}"
            path.write_text(f"{number}")
            done = invoke(
                "sign", path, "--identity-token", instance.token(who),
                "--trust-config", instance.trust_config,
            )  # fmt: skip
            assert done.exit_code == 0, done.stderr
        yield instance


def document(*arguments):
    done = invoke("instance", *arguments, "--format", "json")
    found = json.loads(done.stdout)
    assert output_schema.problem(found) is None
    assert found["exit_code"] == done.exit_code
    return found


def text(*arguments):
    done = invoke("instance", *arguments)
    return done.exit_code, done.stdout


def test_status(used):
    status = document("status", "--data", used.data)["instance"]
    assert (status["url"], status["running"]) == (used.url, True)
    assert (status["log"]["entries"], status["certificates"]) == (4, 3)
    code, shown = text("status", "--data", used.data)
    assert code == 0
    assert f"{used.url} (running)" in shown
    assert status["tuf_root"] in shown


def test_every_certificate_is_found_by_its_identity(used):
    found = document("certificates", "--data", used.data, "--identity", ALICE)["certificates"]
    assert [one["index"] for one in found] == [2, 0]
    assert {(one["identity"], one["issuer"]) for one in found} == {(ALICE, used.url)}
    (ci,) = document("certificates", "--data", used.data, "--identity", "https://ci*")[
        "certificates"
    ]
    assert ci["identity"] == BOB
    assert text("certificates", "--data", used.data, "--identity", "mallory@*") == (0, "")


def test_the_log_by_identity_and_time(used):
    entries = document("log", "--data", used.data)["entries"]
    assert [one["index"] for one in entries] == [3, 2, 1, 0]
    assert entries[-1]["time"] is None
    assert document("log", "--data", used.data, "--identity", BOB)["entries"] == [entries[1]]
    assert document("log", "--data", used.data, "--since", "1h")["entries"] == entries[:-1]
    assert document("log", "--data", used.data, "--since", "2100-01-01")["entries"] == []
    assert document("log", "--data", used.data, "--limit", "1")["entries"] == entries[:1]
    code, shown = text("log", "--data", used.data)
    assert code == 0
    assert shown.splitlines()[-1].endswith("names the log")


@pytest.mark.parametrize("option", [["--since", "x"], ["--since", "0d"], ["--limit", "0"]])
def test_options_that_mean_nothing(used, option):
    assert invoke("instance", "log", "--data", used.data, *option).exit_code == 2


def test_doctor_finds_nothing_wrong(used):
    checks = document("doctor", "--data", used.data)["checks"]
    assert {one["result"] for one in checks if one["name"] != "disk"} == {"ok"}


def change_entry(state):
    with closing(sqlite3.connect(state / "log.db")) as connection, connection:
        connection.execute("UPDATE leaf SET body = x'00' WHERE log = 'ct' AND position = 1")


def change_node(state):
    with closing(sqlite3.connect(state / "log.db")) as connection, connection:
        connection.execute(
            "UPDATE node SET hash = zeroblob(32) WHERE log = 'log' AND level = 1 AND position = 0"
        )


def open_up(state):
    (state / "keys" / "ca.pem").chmod(0o644)


def issue_in_the_future(state):
    with closing(sqlite3.connect(state / "log.db")) as connection, connection:
        (body,) = connection.execute(
            "SELECT body FROM leaf WHERE log = 'ct' AND position = 2"
        ).fetchone()
        late = body[:2] + (1 << 43).to_bytes(8) + body[10:]
        connection.execute("UPDATE leaf SET body = ? WHERE log = 'ct' AND position = 2", (late,))


@pytest.mark.parametrize(
    ("damage", "name"),
    [(change_entry, "ct-log"), (change_node, "log"), (open_up, "permissions"),
     (issue_in_the_future, "clock")],
)  # fmt: skip
def test_doctor_finds_what_is_wrong(used, tmp_path, damage, name):
    data = tmp_path / "data"
    shutil.copytree(used.data, data)
    damage(data / "state")
    found = document("doctor", "--data", data)
    assert found["exit_code"] == 1
    failed = {one["name"]: one for one in found["checks"] if one["result"] == "failed"}
    assert failed[name]["hint"]
    code, shown = text("doctor", "--data", data)
    assert code == 1
    assert failed[name]["message"] in shown


def test_a_copy_that_does_not_run_is_said_to(used, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(used.data, data)
    assert document("status", "--data", data)["instance"]["running"] is False
    (data / "lock").unlink()
    assert document("status", "--data", data)["instance"]["running"] is False


def test_without_an_instance(tmp_path):
    for command in ("status", "doctor", "log", "certificates"):
        found = document(command, "--data", tmp_path)
        assert found["error"]["code"] == "no-instance"


def test_health_and_metrics(used, raw_client):
    client = raw_client(used.url)
    assert (client.ask("/healthz").status, client.ask("/readyz").status) == (200, 200)
    client.ask("/no-such-path")
    answer = client.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+]+')
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line), line
    assert "modelseal_instance_log_entries 4" in lines
    route = 'method="POST",route="/api/v2/log/entries",status="201"'
    assert f"modelseal_instance_requests_total{{{route}}} 3" in lines
    assert 'modelseal_instance_request_seconds_count{route="/api/v2/log/entries"} 3' in lines
    assert "no-such-path" not in answer.body.decode()
