# SPDX-License-Identifier: Apache-2.0
"""Start, stop, restart, crash, and what an instance refuses to start on."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from base64 import b64encode
from pathlib import Path

import pytest
from patience import PATIENCE

from modelseal.formats import checkpoint, note, tiles

MODELSEAL = str(Path(sys.executable).with_name("modelseal"))


def run(*arguments, **options):
    return subprocess.run(
        [MODELSEAL, "instance", *map(str, arguments)],
        capture_output=True, text=True, timeout=PATIENCE, check=False, **options,
    )  # fmt: skip


def log_size(client):
    answer = client.ask("/checkpoint")
    return checkpoint.parse_checkpoint(note.parse_note(answer.body).text).size


def test_a_restart_keeps_url_keys_log_and_trust(start_instance, raw_client, p256, tmp_path):
    with start_instance(tmp_path) as first:
        client = raw_client(first.url)
        leaf = client.certificate(first.token(), p256)[0]
        logged = client.ask("/api/v2/log/entries", client.entry(p256, leaf))
        assert logged.status == 201
        trust, size = first.trust_config.read_bytes(), log_size(client)
        root, timestamp = client.ask("/root.json").body, client.ask("/timestamp.json").body
        token = first.token()
    with start_instance(tmp_path) as second:
        assert second.url == first.url
        assert second.trust_config.read_bytes() == trust
        assert log_size(client) == size
        assert client.ask("/root.json").body == root
        assert client.ask("/timestamp.json").body == timestamp
        assert client.certificate(token, p256)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start_instance, tmp_path, number):
    with start_instance(tmp_path) as instance:
        instance.process.send_signal(number)
        assert instance.process.wait(timeout=PATIENCE) == 0
    assert "Traceback" not in (tmp_path / "instance.log").read_text()


def test_a_second_process_on_the_folder_is_refused(instance):
    second = run("up", "--data", instance.data)
    assert second.returncode == 3
    assert "instance-locked" in second.stderr
    assert second.stdout == ""


def test_state_is_for_the_owner_only(instance):
    assert stat.S_IMODE(instance.data.stat().st_mode) == 0o700
    for path in instance.data.rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_the_port_that_clients_know_is_not_given_up_silently(start_instance, tmp_path):
    with start_instance(tmp_path) as instance:
        port = int(instance.url.rpartition(":")[2])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        refused = run("up", "--data", instance.data)
    assert refused.returncode == 3
    assert "port-taken" in refused.stderr
    assert str(port) in refused.stderr


def test_another_port_gives_everything_the_new_url(
    start_instance, raw_client, sigstore, artifact, tmp_path
):
    with start_instance(tmp_path) as first:
        root = raw_client(first.url).ask("/root.json").body
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with start_instance(tmp_path, "--port", str(port)) as second:
        assert second.url == f"http://127.0.0.1:{port}"
        client = raw_client(second.url)
        assert client.ask("/.well-known/openid-configuration").json["issuer"] == second.url
        assert first.url not in second.trust_config.read_text()
        (tmp_path / "root.json").write_bytes(root)  # TUF keys stay: the old root still works
        trust = ("--instance", second.url)
        assert sigstore(*trust, "trust-instance", tmp_path / "root.json").returncode == 0
        signed = sigstore(*trust, "sign", "--identity-token", second.token(), artifact)
        assert signed.returncode == 0, signed.stderr


def test_kill_in_the_middle_of_signing_loses_nothing_that_was_promised(
    start_instance, raw_client, p256, tmp_path
):
    promised = []
    enough = threading.Event()

    def sign(client, leaf):
        while True:
            try:
                answer = client.ask("/api/v2/log/entries", client.entry(p256, leaf))
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 201:
                promised.append(answer.json)
            if len(promised) >= 30:
                enough.set()

    with start_instance(tmp_path) as instance:
        client = raw_client(instance.url)
        leaf = client.certificate(instance.token(), p256)[0]
        threads = [threading.Thread(target=sign, args=(client, leaf)) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert enough.wait(PATIENCE)
        instance.process.kill()
        for thread in threads:
            thread.join()
    with start_instance(tmp_path):
        size = log_size(client)
        assert size > max(int(entry["logIndex"]) for entry in promised)
        for entry in promised:
            index = int(entry["logIndex"])
            first, offset = divmod(index, 256)
            width = min(256, size - first * 256)
            part = "" if width == 256 else f".p/{width}"
            bundle = client.ask(f"/tile/entries/{first:03d}{part}").body
            assert _body(bundle, offset) == entry["canonicalizedBody"]
        after = client.ask("/api/v2/log/entries", client.entry(p256, leaf))
        assert int(after.json["logIndex"]) == size


def _body(bundle, offset):
    return b64encode(tiles.parse_entries(bundle)[offset]).decode()


def test_a_birth_that_was_interrupted_is_begun_anew(start_instance, tmp_path):
    (tmp_path / "data" / ".birth-x").mkdir(parents=True)
    (tmp_path / "data" / ".birth-x" / "instance.json").write_text("{")
    with start_instance(tmp_path) as instance:
        assert not list(instance.data.glob(".birth-*"))


def lose_key(state):
    (state / "keys" / "log.pem").unlink()


def lose_database(state):
    (state / "log.db").unlink()


def empty_database(state):
    (state / "log.db").write_bytes(b"")


def junk_database(state):
    (state / "log.db").write_bytes(os.urandom(4096))


def roll_back_tree(state):
    with sqlite3.connect(state / "log.db") as connection:
        connection.execute("DELETE FROM leaf WHERE log = 'log'")
    connection.close()


def lose_node(state):
    with sqlite3.connect(state / "log.db") as connection:
        connection.execute("DELETE FROM node WHERE log = 'log'")
    connection.close()


def another_kind_of_key(state):
    shutil.copy(state / "keys" / "tuf.pem", state / "keys" / "oidc.pem")


def another_log_key(state):
    shutil.copy(state / "keys" / "tuf.pem", state / "keys" / "log.pem")


def another_ca_key(state):
    shutil.copy(state / "keys" / "ct.pem", state / "keys" / "ca.pem")


def junk_chain(state):
    (state / "keys" / "ca-chain.pem").write_text("-----BEGIN CERTIFICATE-----")


def bad_settings(state):
    (state / "instance.json").write_text('{"url": 5}')


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, start_instance):
    folder = tmp_path_factory.mktemp("stopped")
    with start_instance(folder) as instance:
        pass
    return instance.data


@pytest.mark.parametrize(
    "damage",
    [
        lose_key, lose_database, empty_database, junk_database, roll_back_tree, lose_node,
        another_kind_of_key, another_log_key, another_ca_key, junk_chain, bad_settings,
    ],
)  # fmt: skip
def test_a_damaged_instance_is_refused_and_not_repaired(stopped, tmp_path, damage):
    data = tmp_path / "data"
    shutil.copytree(stopped, data)
    damage(data / "state")
    refused = run("up", "--data", data, "--port", "0")
    assert refused.returncode == 3, refused
    assert "instance-damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize("arguments", [["token", "--identity", "a@example.com"], ["trust-config"]])
def test_without_an_instance_there_is_nothing_to_print(tmp_path, arguments):
    refused = run(*arguments, "--data", tmp_path / "none")
    assert refused.returncode == 3
    assert "no-instance" in refused.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", ""])
def test_hosts_that_are_not_served(tmp_path, host):
    refused = run("up", "--data", tmp_path / "data", "--host", host)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    refused = run("up", "--data", tmp_path / "file" / "data")
    assert refused.returncode == 3
    assert "instance-folder" in refused.stderr


def test_a_folder_that_others_can_change(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    refused = run("up", "--data", tmp_path / "data")
    assert refused.returncode == 3
    assert "instance-folder" in refused.stderr
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o777  # not ours to change


def test_a_full_disk_is_a_refusal_and_loses_nothing(start_instance, raw_client, p256, tmp_path):
    with start_instance(tmp_path) as instance:
        client = raw_client(instance.url)
        leaf = client.certificate(instance.token(), p256)[0]
        used = max(path.stat().st_size for path in instance.data.rglob("log.db*"))
        pid, no_limit = instance.process.pid, resource.RLIM_INFINITY
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (used, no_limit))
        answers = [client.ask("/api/v2/log/entries", client.entry(p256, leaf)) for _ in range(3)]
        size = log_size(client)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (no_limit, no_limit))
        after = client.ask("/api/v2/log/entries", client.entry(p256, leaf))
    assert answers[-1].status == 503
    assert answers[-1].json["code"] == "storage"
    assert size == 1 + sum(answer.status == 201 for answer in answers)
    assert (after.status, after.json["logIndex"]) == (201, str(size))
    with start_instance(tmp_path):
        assert log_size(client) == size + 1


def test_the_default_folder_is_the_users_data_folder(tmp_path):
    refused = run("trust-config", env=os.environ | {"XDG_DATA_HOME": str(tmp_path)})
    assert refused.returncode == 3
    assert str(tmp_path / "modelseal" / "instance") in refused.stderr


def test_documents_over_http_are_the_same_and_say_that_nothing_vouches_for_them(instance, tmp_path):
    for name in ("trust-config", "trusted-root", "signing-config"):
        local = run(name, "--data", instance.data)
        remote = run(name, "--instance", instance.url)
        assert local.stdout == remote.stdout
        assert local.stderr == ""
        assert "warning" in remote.stderr
        out = tmp_path / f"{name}.json"
        assert run(name, "--data", instance.data, "--out", out).stdout == ""
        assert out.read_text() == local.stdout
    assert run("trust-config", "--data", instance.data, "--instance", instance.url).returncode == 2
    assert run("trust-config", "--instance", "http://127.0.0.1:1").returncode == 3
    for url in ("file:///etc/passwd", "http://[", "http://", "nonsense", "http://a\nb"):
        refused = run("trust-config", "--instance", url)
        assert refused.returncode == 2, refused
        assert "bad-url" in refused.stderr
    assert run("trust-config", "--instance", f"{instance.url}/keys").returncode == 3
    assert run("trust-config", "--instance", "http://127.0.0.1:1/a b").returncode == 3


def test_json_events_without_secrets(start_instance, raw_client, p256, tmp_path):
    with start_instance(tmp_path, "--log-format", "json") as instance:
        client, token = raw_client(instance.url), instance.token()
        client.certificate(token, p256)
        client.ask("/auth?code=very-secret")
        client.ask("/nothing\x1b[31m%0aforged".replace("\x1b", "%1b"))
        client.ask("/api/v2/signingCert", {"credentials": {"oidcIdentityToken": token[:-4]}})
    lines = (tmp_path / "instance.log").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["event"] for event in events} == {"started", "request", "refused"}
    text = "\n".join(lines)
    assert token.rpartition(".")[0] not in text
    assert "very-secret" not in text
    assert "\x1b" not in text


def test_without_the_extra_it_says_what_to_install(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['uvicorn'] = None")
    refused = run("up", "--data", tmp_path / "d", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert refused.returncode == 2
    assert "modelseal[instance]" in refused.stderr
