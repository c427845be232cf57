# SPDX-License-Identifier: Apache-2.0
"""Trusting an instance by its URL: how it begins, what ends it, and what never begins it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from as_user import public_folder, run_as_user
from in_process import invoke
from patience import PATIENCE
from small_server import Said
from tuf_site import TARGETS, tuf_site

ALICE = "alice@example.com"
MEDIA_TYPE = b'{"mediaType": "application/vnd.dev.sigstore.%b"}'
PUBLIC = ["https://tuf-repo-cdn.sigstore.dev", "https://tuf-repo-cdn.sigstage.dev"]


@pytest.fixture
def home(tmp_path):
    """The variables of a user who has never used Sigstore."""
    return {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def run(home):
    return lambda *arguments, **env: invoke(*arguments, env={**home, **env})


@pytest.fixture
def site(tmp_path):
    with tuf_site(tmp_path / "site") as running:
        yield running


@pytest.fixture
def root_file(site, tmp_path):
    path = tmp_path / "root.json"
    path.write_bytes(site.root)
    return path


def trusted(run):
    done = run("trust", "list", "--format", "json")
    assert done.exit_code == 0, done.stderr
    return {one["url"]: one for one in json.loads(done.stdout)["instances"]}


def code_of(done):
    return done.stderr.splitlines()[0].rpartition("[")[2].rstrip("]")


def files_in(folder):
    return {p for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".lock"}


# -- with a private instance -----------------------------------------------------------------------


def test_from_the_operator_to_the_verifier(instance, run, home, tmp_path):
    """As docs/instance.md tells it; the stock client then trusts the instance too."""
    root, model = tmp_path / "root.json", tmp_path / "model.bin"
    model.write_bytes(b"weights")
    assert run("instance", "root", "--data", instance.data, "--out", root).exit_code == 0
    printed = run("instance", "root", "--data", instance.data, "--fingerprint").stdout
    assert printed == f"sha256:{sha256(root.read_bytes()).hexdigest()}\n"

    here = ("--instance", instance.url)
    who = ("--identity", ALICE, "--issuer", instance.issuer)
    for command in (("sign", model, *here), ("verify", model, *here, *who)):
        done = run(*command, "--identity-token", "a.b.c") if command[0] == "sign" else run(*command)
        assert (done.exit_code, code_of(done)) == (3, "instance-not-trusted")
        assert "modelseal trust add" in done.stderr

    added = run("trust", "add", instance.url, root)
    assert added.exit_code == 0, added.stderr
    assert printed.strip() in added.stdout
    signed = run("sign", model, *here, "--identity-token", instance.token())
    assert signed.exit_code == 0, signed.stderr
    for more in ((), ("--refresh",)):
        assert run("verify", model, *here, *who, *more).exit_code == 0
    stock = ("verify", "identity", "--cert-identity", ALICE, "--cert-oidc-issuer", instance.issuer)
    command = [sys.executable, "-m", "sigstore", *here, *stock, str(model)]
    subprocess.run(command, check=True, env={**os.environ, **home}, timeout=PATIENCE)

    assert run("trust", "remove", instance.url).exit_code == 0
    done = run("verify", model, *here, *who)
    assert (done.exit_code, code_of(done)) == (3, "instance-not-trusted")


def test_the_root_is_the_same_from_the_folder_and_from_the_url(instance, run, tmp_path):
    log = (instance.data.parent / "instance.log").read_text()
    printed = run("instance", "root", "--data", instance.data)
    by_url = run("instance", "root", "--instance", instance.url)
    assert by_url.stdout == printed.stdout
    assert "nothing vouches for it" in by_url.stderr
    assert f'tuf_root="sha256:{sha256(printed.stdout.encode()).hexdigest()}"' in log


# -- how trust begins ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "sha256:{}", "SHA256:{}"])
def test_a_fingerprint_is_enough(run, site, form):
    fingerprint = form.format(site.fingerprint)
    if form.startswith("SHA"):
        fingerprint = fingerprint.upper()
    done = run("trust", "add", site.url + "/", "--fingerprint", fingerprint, "--format", "json")
    assert done.exit_code == 0, done.stderr
    (added,) = json.loads(done.stdout)["instances"]
    assert added == trusted(run)[site.url]
    assert added["tuf_root"]["sha256"] == site.fingerprint
    digest = sha256(TARGETS["trusted_root.json"]).hexdigest()
    assert added["trusted_root"]["sha256"] == digest


def test_a_fingerprint_of_a_later_root(run, site):
    first = site.fingerprint
    site.rotate_root()
    assert site.fingerprint != first
    assert run("trust", "add", site.url, "--fingerprint", site.fingerprint).exit_code == 0
    assert trusted(run)[site.url]["tuf_root"]["version"] == 2
    assert run("trust", "add", site.url, "--fingerprint", first).exit_code == 0, "leads to it"


def test_another_fingerprint_trusts_nothing_and_looks_at_nothing_else(run, site, home):
    done = run("trust", "add", site.url, "--fingerprint", "0" * 64)
    assert (done.exit_code, code_of(done)) == (1, "fingerprint-mismatch")
    assert site.fingerprint not in done.output, "nobody shall copy it from here"
    assert set(site.asked) == {"1.root.json", "2.root.json"}
    assert not files_in(home["XDG_DATA_HOME"]) | files_in(home["XDG_CACHE_HOME"])


@pytest.mark.parametrize("arguments", [(), ("ROOT", "--fingerprint", "0" * 64)])
def test_never_at_first_sight(run, site, root_file, arguments):
    words = [root_file if word == "ROOT" else word for word in arguments]
    done = run("trust", "add", site.url, *words)
    assert (done.exit_code, code_of(done)) == (2, "root-needed")
    assert site.asked == []


@pytest.mark.parametrize(("bytes_", "kind"), [
    (b"", "is not a TUF root"),
    (b"-----BEGIN CERTIFICATE-----", "is not a TUF root"),
    (b"[" * 100_000, "is not a TUF root"),
    (b"{}", "is something else"),
    (TARGETS["trusted_root.json"], "is a Sigstore trusted root"),
    (MEDIA_TYPE % b"clienttrustconfig.v0.1+json", "is a trust config"),
    (MEDIA_TYPE % b"signingconfig.v0.2+json", "is a signing config"),
    (MEDIA_TYPE % b"bundle.v0.3+json", "is a bundle"),
])  # fmt: skip
def test_what_is_no_root(run, site, tmp_path, bytes_, kind):
    path = tmp_path / "root.json"
    path.write_bytes(bytes_)
    done = run("trust", "add", site.url, path)
    assert (done.exit_code, code_of(done)) == (1, "tuf-root")
    assert kind in done.stderr
    assert "Traceback" not in done.stderr
    assert site.asked == []


def test_other_tuf_metadata_is_named(run, site, tmp_path):
    path = tmp_path / "timestamp.json"
    path.write_bytes(site.repository.metadata("timestamp.json", site.now))
    done = run("trust", "add", site.url, path)
    assert "is TUF metadata of the role 'timestamp'" in done.stderr


def test_a_root_must_be_signed_by_its_own_keys(run, site, tmp_path):
    root = json.loads(site.root)
    for change in ("signature", "content", "threshold"):
        forged = json.loads(site.root)
        if change == "signature":
            forged["signatures"][0]["sig"] = "00" * 64
        elif change == "content":
            forged["signed"]["version"] = 7
        else:
            forged["signatures"] = []
        assert forged != root
        path = tmp_path / f"{change}.json"
        path.write_text(json.dumps(forged))
        done = run("trust", "add", site.url, path)
        assert (done.exit_code, code_of(done)) == (1, "tuf-root"), change
        assert "not signed by its own keys" in done.stderr


def test_the_root_of_another_instance(run, site, tmp_path, home):
    with tuf_site(tmp_path / "other") as other:
        path = tmp_path / "other.json"
        path.write_bytes(other.root)
    done = run("trust", "add", site.url, path)
    assert (done.exit_code, code_of(done)) == (3, "tuf-refused")
    assert site.url not in trusted(run)
    assert not files_in(home["XDG_DATA_HOME"]) | files_in(home["XDG_CACHE_HOME"])


@pytest.mark.parametrize("case", [
    ("timestamp.json", Said(b"", 503), "instance-unreachable"),
    ("timestamp.json", Said(b"{}"), "tuf-refused"),
    ("timestamp.json", Said(b"x" * 1_000_000), "instance-unreachable"),
    ("TARGET", Said(b"another trusted root"), "tuf-refused"),
])  # fmt: skip
def test_an_instance_that_answers_wrongly_is_not_half_trusted(run, site, root_file, home, case):
    name, said, code = case
    if name == "TARGET":
        name = f"targets/{sha256(TARGETS['trusted_root.json']).hexdigest()}.trusted_root.json"
    site.instead[name] = said
    done = run("trust", "add", site.url, root_file)
    assert (done.exit_code, code_of(done)) == (3, code), done.stderr
    assert site.url not in trusted(run)
    assert not files_in(home["XDG_DATA_HOME"]) | files_in(home["XDG_CACHE_HOME"])
    del site.instead[name]
    assert run("trust", "add", site.url, root_file).exit_code == 0


def test_an_instance_whose_trusted_root_is_none(run, tmp_path):
    with tuf_site(tmp_path / "site", {"trusted_root.json": b"{}"}) as site:
        (tmp_path / "root.json").write_bytes(site.root)
        done = run("trust", "add", site.url, tmp_path / "root.json")
        assert done.exit_code == 1, done.stderr
        assert site.url not in trusted(run)


def test_nobody_answers(run, root_file):
    done = run("trust", "add", "http://127.0.0.1:9", root_file)
    assert (done.exit_code, code_of(done)) == (3, "instance-unreachable")
    done = run("trust", "add", "http://127.0.0.1:9", "--fingerprint", "0" * 64)
    assert (done.exit_code, code_of(done)) == (3, "instance-unreachable")


@pytest.mark.parametrize("url", [
    "sigstore.example", "ftp://sigstore.example", "https://", "https://a b", "http://[::1",
    "https://a.example?x", "https://a.example#x", "https://a.example/\x1b", "https://" + "a" * 200,
])  # fmt: skip
@pytest.mark.parametrize("command", ["add", "remove"])
def test_what_is_no_url(run, root_file, url, command):
    arguments = (root_file,) if command == "add" else ()
    done = run("trust", command, url, *arguments)
    assert (done.exit_code, code_of(done)) == (2, "bad-url")
    assert "\x1b" not in done.stderr


def test_a_fingerprint_that_is_none(run, site):
    for text in ("abc", "0" * 63, "0" * 65, "sha512:" + "0" * 64, "g" * 64):
        done = run("trust", "add", site.url, "--fingerprint", text)
        assert (done.exit_code, code_of(done)) == (2, "bad-fingerprint")


# -- how it goes on, and ends ----------------------------------------------------------------------


def test_a_changed_trusted_root_is_followed(run, site, root_file):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    before = trusted(run)[site.url]["trusted_root"]
    changed = json.loads(TARGETS["trusted_root.json"])
    del changed["tlogs"][0]
    site.repository.publish({"trusted_root.json": json.dumps(changed).encode()}, site.now)
    site.rotate_root()

    model = root_file.with_name("model.bin")
    model.write_bytes(b"weights")
    who = ("--identity", ALICE, "--issuer", "https://issuer.example", "--instance", site.url)
    assert code_of_verdict(run("verify", model, *who)) == "unsigned"
    assert trusted(run)[site.url]["trusted_root"] == before, "without being asked, no network"
    assert code_of_verdict(run("verify", model, *who, "--refresh")) == "unsigned"
    after = trusted(run)[site.url]
    assert after["trusted_root"] != before
    assert after["tuf_root"]["version"] == 2


def code_of_verdict(done):
    return done.stdout.partition("[")[2].partition("]")[0]


def test_adding_again_refreshes(run, site, root_file):
    for _ in range(2):
        assert run("trust", "add", site.url, root_file).exit_code == 0
    site.rotate_root()
    assert run("trust", "add", site.url, root_file).exit_code == 0
    assert trusted(run)[site.url]["tuf_root"]["version"] == 2


def test_an_instance_that_was_made_anew_has_to_be_removed_first(run, site, root_file, tmp_path):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    before = trusted(run)[site.url]
    with tuf_site(tmp_path / "anew") as anew:
        site.repository = anew.repository
        root_file.write_bytes(anew.root)
        done = run("trust", "add", site.url, root_file)
        assert (done.exit_code, code_of(done)) == (2, "another-root")
        assert trusted(run)[site.url] == before
        assert run("trust", "remove", site.url).exit_code == 0
        assert run("trust", "add", site.url, root_file).exit_code == 0
        assert trusted(run)[site.url]["tuf_root"]["sha256"] == anew.fingerprint


@pytest.mark.parametrize("url", [*PUBLIC, PUBLIC[0] + "/"])
def test_the_public_instances_are_neither_added_nor_removed(run, root_file, url):
    for arguments in (("add", url, root_file), ("remove", url)):
        done = run("trust", *arguments)
        assert (done.exit_code, code_of(done)) == (2, "public-instance")
    assert list(trusted(run)) == PUBLIC


def test_removing_what_is_not_trusted(run):
    done = run("trust", "remove", "https://sigstore.example")
    assert (done.exit_code, code_of(done)) == (2, "instance-not-trusted")


def test_removing_leaves_nothing_and_other_instances_alone(run, site, root_file, tmp_path, home):
    with tuf_site(tmp_path / "other") as other:
        (tmp_path / "other.json").write_bytes(other.root)
        assert run("trust", "add", other.url, tmp_path / "other.json").exit_code == 0
    before = files_in(home["XDG_DATA_HOME"]) | files_in(home["XDG_CACHE_HOME"])
    assert run("trust", "add", site.url, root_file).exit_code == 0
    assert run("trust", "remove", site.url, "--format", "json").exit_code == 0
    assert files_in(home["XDG_DATA_HOME"]) | files_in(home["XDG_CACHE_HOME"]) == before
    assert other.url in trusted(run)


def test_a_cache_that_was_emptied_is_filled_again(run, site, root_file, home, tmp_path):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    for path in files_in(home["XDG_CACHE_HOME"]):
        path.unlink()
    assert trusted(run)[site.url]["trusted_root"] is None
    (tmp_path / "model.bin").touch()
    verify = ("verify", tmp_path / "model.bin", "--instance", site.url)
    who = ("--identity", ALICE, "--issuer", "https://issuer.example")
    done = run(*verify, *who)
    assert (done.exit_code, code_of(done)) == (3, "root-not-cached")
    assert code_of_verdict(run(*verify, *who, "--refresh")) == "unsigned"
    assert code_of_verdict(run(*verify, *who)) == "unsigned"


def test_a_cache_alone_is_not_trust(run, site, root_file, home, tmp_path):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    moved = {"XDG_DATA_HOME": str(tmp_path / "elsewhere")}
    (tmp_path / "model.bin").touch()
    verify = ("verify", tmp_path / "model.bin", "--instance", site.url)
    done = run(*verify, "--identity", ALICE, "--issuer", "https://issuer.example", **moved)
    assert (done.exit_code, code_of(done)) == (3, "instance-not-trusted")


def test_what_has_expired_is_marked(run, site, root_file, home):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    assert "expired" not in run("trust", "list").stdout
    (timestamp,) = Path(home["XDG_DATA_HOME"]).rglob("timestamp.json")
    changed = json.loads(timestamp.read_text())
    changed["signed"]["expires"] = "2020-01-02T03:04:05Z"
    timestamp.write_text(json.dumps(changed))
    assert "expired on 2020-01-02" in run("trust", "list").stdout
    assert trusted(run)[site.url]["current_until"] == "2020-01-02T03:04:05Z"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"signed": {"version": "1"}}', b"\xff"])
def test_a_list_with_a_damaged_entry_is_a_list(run, site, root_file, home, content):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    for name in ("root.json", "timestamp.json"):
        (path,) = Path(home["XDG_DATA_HOME"]).rglob(name)
        path.resolve().write_bytes(content)
    (path,) = Path(home["XDG_CACHE_HOME"]).rglob("trusted_root.json")
    path.write_bytes(content)
    entry = trusted(run)[site.url]
    assert (entry["tuf_root"], entry["trusted_root"], entry["current_until"]) == (None,) * 3
    assert run("trust", "list").exit_code == 0
    assert run("trust", "remove", site.url).exit_code == 0


def test_what_else_lies_in_the_folder_is_not_listed(run, home):
    folder = Path(home["XDG_DATA_HOME"]) / "sigstore-python" / "tuf"
    for name in (".hidden", "http:", quote("http://a.example", safe=""), "\x1b[2J", "httpx"):
        (folder / name).mkdir(parents=True)
    (folder / "http%3A%2F%2Fb.example").touch()
    assert list(trusted(run)) == PUBLIC
    assert run("trust", "list").exit_code == 0


def test_one_folder_for_data_and_cache(run, site, root_file, tmp_path):
    same = {"XDG_DATA_HOME": str(tmp_path / "same"), "XDG_CACHE_HOME": str(tmp_path / "same")}
    for command in ("add", "add", "remove", "add"):
        arguments = (root_file,) if command == "add" else ()
        done = run("trust", command, site.url, *arguments, **same)
        assert done.exit_code == 0, done.stderr
    assert site.url in run("trust", "list", **same).stdout


# -- other processes -------------------------------------------------------------------------------


def shells(home, *commands):
    """Run the commands at once, each in a process of its own."""

    def one(command):
        return subprocess.run(
            [sys.executable, "-m", "modelseal", *map(str, command)], env={**os.environ, **home},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(one, commands))


def test_many_processes_at_once(site, root_file, home, run, tmp_path):
    add = ("trust", "add", site.url, root_file)
    for done in shells(home, *[add] * 4):
        assert done.returncode == 0, done.stderr
    site.rotate_root()
    (tmp_path / "model.bin").touch()
    verify = ("verify", tmp_path / "model.bin", "--instance", site.url, "--identity", ALICE,
              "--issuer", "https://issuer.example")  # fmt: skip
    for done in shells(home, *[(*verify, "--refresh")] * 3, verify, add):
        assert done.returncode in {0, 1}, done.stderr
        assert "[unsigned]" in done.stdout or "TRUSTED" in done.stdout
    assert trusted(run)[site.url]["tuf_root"]["version"] == 2
    leftovers = [p for p in tmp_path.rglob(".*") if p.suffix == ".tmp"]
    assert leftovers == []


def test_what_a_killed_process_left_is_swept(run, site, root_file, home):
    assert run("trust", "add", site.url, root_file).exit_code == 0
    (lock,) = Path(home["XDG_DATA_HOME"]).rglob(".*.lock")
    assert run("trust", "remove", site.url).exit_code == 0
    for variable in home.values():
        half = Path(variable) / "sigstore-python" / "tuf" / f"{lock.stem}.tmp"
        (half / "root_history").mkdir(parents=True)
        (half / "root.json").write_text("{")
    assert site.url not in trusted(run)
    assert run("trust", "add", site.url, root_file).exit_code == 0
    assert not list(Path(home["XDG_DATA_HOME"]).rglob(".*.tmp"))


# -- users without a usable home -------------------------------------------------------------------


def test_a_home_that_cannot_be_written(site, root_file, tmp_path):
    with public_folder() as public, ExitStack() as undone:
        root, home = public / "root.json", public / "home"
        root.write_bytes(root_file.read_bytes())
        home.mkdir()
        home.chmod(0o555)
        undone.callback(home.chmod, 0o755)
        commands = [["trust", "add", site.url, root], ["trust", "list"]]
        own = {
            "XDG_DATA_HOME": str(tmp_path / "rehearsed"),
            "XDG_CACHE_HOME": str(tmp_path / "rehearsed"),
        }
        add, listed = run_as_user(
            commands, {"HOME": str(home)}, rehearsed=commands, rehearsal_env=own
        )
        assert (add.exit_code, code_of(add)) == (3, "home-unusable")
        assert f"{home}/.local/share/sigstore-python" in add.stderr
        assert "XDG_DATA_HOME" in add.stderr
        assert listed.exit_code == 0
        add, listed = run_as_user(commands, {}, rehearsed=commands, rehearsal_env=own)
        assert (add.exit_code, code_of(add)) == (3, "no-home")
        assert listed.exit_code == 0
        assert all(url in listed.stdout for url in PUBLIC)
