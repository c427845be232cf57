# SPDX-License-Identifier: Apache-2.0
"""`modelseal monitor` over the log of a real instance."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from in_process import invoke
from patience import PATIENCE
from private_ca import Kind, chain, leaf

ALICE, BOB = "alice@example.com", "bob@example.com"


def sign(client, instance, key, who):
    certificate = client.certificate(instance.token(who), key, who)[0]
    assert client.ask("/api/v2/log/entries", client.entry(key, certificate)).status == 201


def monitor(instance, *options):
    done = invoke(
        "monitor", "--trusted-root", instance.trusted_root, "--log", instance.url, *options
    )
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def events(found):
    return [one["event"] for one in found]


def test_uses_of_identities_are_reported_once(start_instance, raw_client, p256, tmp_path):
    options = ("--identity", "alice@*", "--state", tmp_path / "s.json", "--metrics", tmp_path / "m")
    with start_instance(tmp_path) as instance:
        client = raw_client(instance.url)
        sign(client, instance, p256, ALICE)
        sign(client, instance, p256, BOB)
        code, found = monitor(instance, *options)
        assert code == 0
        assert [(one["event"], one["identity"], one["index"]) for one in found] == [
            ("identity-used", ALICE, 1)
        ]
        assert found[0]["issuer"] == instance.url
        assert monitor(instance, *options) == (0, [])
        sign(client, instance, p256, ALICE)
        assert events(monitor(instance, *options)[1]) == ["identity-used"]
        assert "modelseal_monitor_log_entries 4\n" in (tmp_path / "m").read_text()
        assert "modelseal_monitor_fault 0\n" in (tmp_path / "m").read_text()


def test_a_certificate_that_the_ca_did_not_issue_is_reported(instance, raw_client, p256, tmp_path):
    client = raw_client(instance.url)
    monitor(instance, "--state", tmp_path / "s.json", "--from-now")
    name = x509.SubjectAlternativeName([x509.RFC822Name(ALICE)])
    holder, _ = chain(Kind("root"), leaf(extension=name, curve=p256.curve))
    client.ask("/api/v2/log/entries", client.entry(holder.key, holder.certificate))
    code, found = monitor(instance, "--state", tmp_path / "s.json", "--identity", "*")
    assert code == 0
    assert "unknown-certificate" in events(found)


def test_a_log_that_was_put_back_is_noticed(start_instance, raw_client, p256, tmp_path):
    state = ("--state", tmp_path / "s.json")
    with start_instance(tmp_path) as instance:
        client = raw_client(instance.url)
        sign(client, instance, p256, ALICE)
        invoke("instance", "backup", "--data", instance.data, "--out", tmp_path / "b.tar")
        sign(client, instance, p256, ALICE)
        assert monitor(instance, *state) == (0, [])
    shutil.rmtree(instance.data)
    invoke("instance", "restore", tmp_path / "b.tar", "--data", instance.data)
    kept = (tmp_path / "s.json").read_bytes()
    with start_instance(tmp_path) as restored:
        client = raw_client(restored.url)
        for expected in ("log-shrunk", "log-forked", "log-forked"):
            code, found = monitor(restored, *state)
            assert (code, events(found)) == (1, [expected])
            sign(client, restored, p256, BOB)
    assert (tmp_path / "s.json").read_bytes() == kept


def test_a_rotated_key_is_followed(start_instance, raw_client, p256, tmp_path):
    state = ("--state", tmp_path / "s.json")
    with start_instance(tmp_path) as first:
        sign(raw_client(first.url), first, p256, ALICE)
        assert monitor(first, *state) == (0, [])
    invoke("instance", "rotate", "log", "--in", "0", "--data", first.data)
    with start_instance(tmp_path) as second:
        sign(raw_client(second.url), second, p256, ALICE)
        assert monitor(second, *state) == (0, [])


def test_it_looks_again_until_it_is_stopped(start_instance, raw_client, p256, tmp_path):
    with start_instance(tmp_path) as instance:
        client = raw_client(instance.url)
        command = [
            str(Path(sys.executable).with_name("modelseal")), "monitor", "--interval", "1",
            "--trusted-root", instance.trusted_root, "--log", instance.url, "--identity", "*",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for who in (ALICE, BOB):
                sign(client, instance, p256, who)
                assert json.loads(process.stdout.readline())["identity"] == who
            instance.process.terminate()
            assert json.loads(process.stdout.readline())["event"] == "log-unreachable"
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(timeout=PATIENCE) == 3


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--log", "http://127.0.0.1:1"], 3), (["--log", "x"], 2), ([], 2),
        (["--log", "http://127.0.0.1:1", "--from-now"], 2),
        (["--log", "http://127.0.0.1:1", "--interval", "0"], 2),
        (["--log", "http://127.0.0.1:1", "--max-silence", "x"], 2),
        (["--log", "http://127.0.0.1:1", "--once", "--interval", "5"], 2),
    ],
)  # fmt: skip
def test_what_cannot_be_watched(instance, options, code):
    done = invoke("monitor", "--trusted-root", instance.trusted_root, *options)
    assert done.exit_code == code
    assert done.stdout == ""


def test_a_state_that_is_none(instance, tmp_path):
    (tmp_path / "s.json").write_text("{}")
    done = invoke(
        "monitor", "--trusted-root", instance.trusted_root, "--log", instance.url,
        "--state", tmp_path / "s.json",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "monitor-state" in done.stderr
