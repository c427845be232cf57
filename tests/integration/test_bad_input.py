# SPDX-License-Identifier: Apache-2.0
"""Bad input, by name: a stable code, one sentence, a hint, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import in_process
import pytest
from patience import PATIENCE

from modelseal.instance import state, tokens

ALICE = "alice@example.com"
PICKLE = b"\x80\x04N."


@dataclass(frozen=True)
class Answer:
    exit_code: int
    verdict: dict


@pytest.fixture(scope="module")
def signed(instance, tmp_path_factory) -> dict[str, Path]:
    """Return a signed file and a signed folder, which tests copy before they spoil them."""
    top = tmp_path_factory.mktemp("signed")
    file, folder = top / "model.bin", top / "model"
    file.write_bytes(b"weights")
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    (folder / "config.json").write_bytes(b"{}")
    assert run_sign(instance, file, folder).exit_code == 0
    return {"file": file, "folder": folder}


@pytest.fixture
def model(signed, tmp_path) -> Path:
    """Return a signed file of this test's own, its bundle beside it."""
    for source in (signed["file"], bundle_of(signed["file"])):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    return tmp_path / signed["file"].name


@pytest.fixture
def folder(signed, tmp_path) -> Path:
    """Return a signed folder of this test's own."""
    target = tmp_path / "model"
    target.mkdir()
    for source in signed["folder"].iterdir():
        (target / source.name).write_bytes(source.read_bytes())
    return target


def bundle_of(path: Path) -> Path:
    return path.with_name(path.name + ".sigstore.json")


def invoke(*arguments: object) -> Answer:
    result = in_process.invoke(*arguments, "--format", "json")
    said, *_ = in_process.answers(result.stdout)
    if result.exit_code:
        for text in (said["code"], said["message"], said["hint"]):
            assert text
            assert text.isprintable(), "one line, nothing that a terminal would obey"
        assert len(said["message"]) < 600
    return Answer(result.exit_code, said)


def verify(path: Path, root: Path, issuer: str, *options: object, identity: str = ALICE) -> Answer:
    return invoke(
        "verify", path, "--identity", identity, "--issuer", issuer, "--trusted-root", root, *options
    )


def run_sign(instance, *paths: Path, token: str | None = None, options=()) -> Answer:
    trust = ("--trust-config", instance.trust_config)
    return invoke("sign", *paths, *trust, "--identity-token", token or instance.token(), *options)


def decided(answer: Answer, exit_code: int, code: str) -> None:
    assert (answer.exit_code, answer.verdict["code"]) == (exit_code, code)


# -- bundles -------------------------------------------------------------------------------------


def test_good_ones_are_accepted(instance, signed) -> None:
    for path in signed.values():
        decided(verify(path, instance.trusted_root, instance.issuer), 0, "accepted")


def test_a_missing_bundle(instance, model) -> None:
    bundle_of(model).unlink()
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "unsigned")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"{}", "missing-member"),
        (b"[]", "wrong-type"),
        (b"\x00\xff" * 50, "not-json"),
        (b'{"mediaType": "application/json"}', "media-type"),
        (b'{"mediaType": "\\u001b[2J\\n"}', "media-type"),
    ],
)
def test_junk_as_bundle(instance, model, content: bytes, code: str) -> None:
    bundle_of(model).write_bytes(content)
    decided(verify(model, instance.trusted_root, instance.issuer), 1, code)


def test_a_hundred_megabytes_of_junk_as_bundle(instance, model) -> None:
    with bundle_of(model).open("wb") as file:
        file.write(b"{" * 1024)
        file.truncate(100_000_000)
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "too-large")


def test_a_truncated_bundle(instance, model) -> None:
    data = bundle_of(model).read_bytes()
    bundle_of(model).write_bytes(data[: len(data) // 2])
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "not-json")


def test_a_fifo_as_bundle_does_not_hang(instance, model) -> None:
    bundle_of(model).unlink()
    os.mkfifo(bundle_of(model))
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "special-file")


def test_a_link_as_bundle(instance, model, signed) -> None:
    bundle_of(model).unlink()
    bundle_of(model).symlink_to(bundle_of(signed["file"]))
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "symlink")


def test_the_bundle_of_another_file(instance, model) -> None:
    model.write_bytes(PICKLE)
    answer = verify(model, instance.trusted_root, instance.issuer)
    decided(answer, 1, "digest-mismatch")
    assert answer.verdict["diff"]["changed"] == [model.name]


def test_the_bundle_of_a_folder_for_a_file(instance, model, signed) -> None:
    bundle_of(model).write_bytes((signed["folder"] / "model.sig").read_bytes())
    decided(verify(model, instance.trusted_root, instance.issuer), 1, "wrong-kind")


def test_the_bundle_of_a_file_for_a_folder(instance, folder, signed) -> None:
    (folder / "model.sig").write_bytes(bundle_of(signed["file"]).read_bytes())
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "wrong-kind")


# -- who, and whom to believe --------------------------------------------------------------------


def test_a_wrong_identity(instance, model) -> None:
    answer = verify(model, instance.trusted_root, instance.issuer, identity="bob@example.com")
    decided(answer, 1, "identity-mismatch")
    assert "alice@example.com" in answer.verdict["message"]


def test_a_wrong_issuer(instance, model) -> None:
    answer = verify(model, instance.trusted_root, "https://accounts.example")
    decided(answer, 1, "issuer-mismatch")


def test_a_wrong_trust_root(instance, model) -> None:
    answer = invoke("verify", model, "--identity", ALICE, "--issuer", instance.issuer)
    decided(answer, 1, "untrusted-certificate")


def test_the_root_of_another_instance(instance, model, start_instance, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    with start_instance(tmp_path / "other") as other:
        decided(verify(model, other.trusted_root, instance.issuer), 1, "untrusted-certificate")


def test_a_trust_config_where_a_root_belongs(instance, model) -> None:
    decided(verify(model, instance.trust_config, instance.issuer), 1, "trust-root")


def test_a_missing_trust_root(instance, model, tmp_path) -> None:
    decided(verify(model, tmp_path / "nothing", instance.issuer), 2, "not-found")


def test_two_trust_roots(instance, model) -> None:
    more = ("--trust-config", instance.trust_config)
    answer = verify(model, instance.trusted_root, instance.issuer, *more)
    decided(answer, 2, "conflicting-trust")


def test_an_instance_that_was_never_trusted(instance, model, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for command in (
        ("verify", model, "--identity", ALICE, "--issuer", instance.issuer),
        ("sign", model, "--overwrite", "--identity-token", instance.token()),
    ):
        decided(invoke(*command, "--instance", instance.url), 3, "instance-not-trusted")


# -- models --------------------------------------------------------------------------------------


def test_a_missing_model(instance, tmp_path) -> None:
    decided(verify(tmp_path / "x", instance.trusted_root, instance.issuer), 2, "not-found")
    decided(run_sign(instance, tmp_path / "x"), 2, "not-found")


def test_an_empty_folder(instance, tmp_path) -> None:
    decided(run_sign(instance, tmp_path), 1, "empty-model")


def test_an_empty_file(instance, tmp_path) -> None:
    (tmp_path / "model.bin").touch()
    decided(run_sign(instance, tmp_path / "model.bin"), 1, "empty-file")


def test_a_name_with_a_newline(instance, folder) -> None:
    (folder / "a\nOK model").write_bytes(b"x")
    decided(run_sign(instance, folder, options=["--overwrite"]), 1, "name-not-printable")
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "digest-mismatch")


def test_a_name_that_is_not_utf8(instance, folder) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.bin")).write_bytes(b"x")
    decided(run_sign(instance, folder, options=["--overwrite"]), 1, "name-not-utf8")
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "name-not-utf8")


def test_a_symbolic_link(instance, folder) -> None:
    (folder / "link").symlink_to("weights.bin")
    decided(run_sign(instance, folder, options=["--overwrite"]), 1, "symlink")
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "symlink")


def test_a_link_in_place_of_the_model(instance, model) -> None:
    link = model.with_name("link.bin")
    link.symlink_to(model)
    bundle_of(link).write_bytes(bundle_of(model).read_bytes())
    decided(verify(link, instance.trusted_root, instance.issuer), 1, "symlink")


def test_a_fifo(instance, folder) -> None:
    os.mkfifo(folder / "pipe")
    decided(run_sign(instance, folder, options=["--overwrite"]), 1, "special-file")
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "special-file")


def test_a_signed_name_that_leaves_the_model(instance, folder) -> None:
    """The parser refuses it before it looks at any signature, so an unsigned change will do."""
    bundle = json.loads((folder / "model.sig").read_bytes())
    import base64  # noqa: PLC0415 - for this one

    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    forged = payload.replace(b"weights.bin", b"../../x.bin")
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
    (folder / "model.sig").write_text(json.dumps(bundle))
    decided(verify(folder, instance.trusted_root, instance.issuer), 1, "signature-invalid")


# -- places that cannot be read or written -------------------------------------------------------

_AS_NOBODY = """
import os, sys
from modelseal.cli import main
import modelseal.cli._options, modelseal.cli._run  # while it may still read
import modelseal.signing.sign, modelseal.admission.verify
import modelseal.signing._sigstore.signing, modelseal.trust._sigstore
if os.geteuid() == 0:
    os.seteuid(65534)
main(sys.argv[1:])
"""


def as_nobody(*arguments: object) -> Answer:
    """Run a command as a user to whom permissions apply, which they do not to root."""
    command = [sys.executable, "-c", _AS_NOBODY, *map(str, arguments), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    said, *_ = in_process.answers(done.stdout)
    return Answer(done.returncode, said)


@pytest.fixture
def public(instance):
    """Give a folder that others may enter, with the trust config in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "trust.json").write_bytes(instance.trust_config.read_bytes())
        yield folder


def sign_as_nobody(instance, public: Path, path: Path) -> Answer:
    trust = ("--trust-config", public / "trust.json")
    return as_nobody("sign", path, *trust, "--identity-token", instance.token())


def test_a_read_only_folder(instance, public) -> None:
    (public / "model.bin").write_bytes(b"x")
    public.chmod(0o555)
    decided(sign_as_nobody(instance, public, public / "model.bin"), 3, "cannot-write")
    assert sorted(p.name for p in public.iterdir()) == ["model.bin", "trust.json"]


def test_a_folder_without_read_permission(instance, public) -> None:
    (public / "model").mkdir(mode=0)
    decided(sign_as_nobody(instance, public, public / "model"), 3, "unreadable")


def test_a_full_disk_leaves_nothing_half_written(instance, tmp_path) -> None:
    """A limit on file sizes fails a write in the middle, as a full disk does."""
    (tmp_path / "model.bin").write_bytes(b"x" * 10)
    done = subprocess.run(
        [
            sys.executable, "-m", "modelseal", "sign", tmp_path / "model.bin", "--format", "json",
            "--trust-config", instance.trust_config, "--identity-token", instance.token(),
        ],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "disk-full"
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_an_existing_bundle_is_not_overwritten(instance, model) -> None:
    before = bundle_of(model).read_bytes()
    decided(run_sign(instance, model), 2, "already-exists")
    assert bundle_of(model).read_bytes() == before
    assert run_sign(instance, model, options=["--overwrite"]).exit_code == 0


# -- the instance, the token, the clock ----------------------------------------------------------


def test_the_instance_is_down(instance, model, tmp_path) -> None:
    down = tmp_path / "down.json"
    down.write_text(instance.trust_config.read_text().replace(instance.url, "http://127.0.0.1:1"))
    options = ["--overwrite", "--trust-config", down, "--identity-token", instance.token()]
    decided(invoke("sign", model, *options), 3, "instance-unreachable")


@pytest.mark.parametrize("service", ["tsaUrls", "rekorTlogUrls"])
def test_the_instance_goes_down_in_the_middle_of_signing(
    instance, model, tmp_path, service: str
) -> None:
    """The CA has answered; the next service has not. The old bundle stays, nothing is logged."""
    config = json.loads(instance.trust_config.read_bytes())
    for place in config["signingConfig"][service]:
        place["url"] = "http://127.0.0.1:1"
    (tmp_path / "half.json").write_text(json.dumps(config))
    before = bundle_of(model).read_bytes()
    options = ["--trust-config", tmp_path / "half.json", "--identity-token", instance.token()]
    decided(invoke("sign", model, "--overwrite", *options), 3, "instance-unreachable")
    assert bundle_of(model).read_bytes() == before


def token_at(instance, seconds: float, audience: str = "sigstore") -> str:
    key = state.load(instance.data).keys.oidc
    identity = tokens.parse_identity(ALICE)
    now = time.time() + seconds
    return tokens.mint(key, instance.issuer, identity, audience=audience, now=now)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (lambda i: token_at(i, 3600), "token-not-yet-valid"),
        (lambda i: token_at(i, -7200), "token-expired"),
        (lambda i: token_at(i, 0, audience="other"), "token-audience"),
        (lambda _: "a.b.c", "token-malformed"),
    ],
    ids=["clock an hour behind", "expired", "audience", "malformed"],
)
def test_bad_tokens_ask_for_a_new_sign_in(instance, model, token, code: str) -> None:
    answer = run_sign(instance, model, token=token(instance), options=["--overwrite"])
    decided(answer, 4, code)


def test_a_token_that_the_instance_refuses_is_explained(instance, model) -> None:
    """Signed by somebody else: only the instance can tell, and its words reach the user."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - for this one

    key = rsa.generate_private_key(65537, 2048)
    identity = tokens.parse_identity(ALICE)
    token = tokens.mint(key, instance.issuer, identity, audience="sigstore", now=time.time())
    answer = run_sign(instance, model, token=token, options=["--overwrite"])
    decided(answer, 3, "instance-refused")
    assert "401" in answer.verdict["message"]
    assert token not in json.dumps(answer.verdict)


def test_half_a_token_is_not_shown(instance, model) -> None:
    half = instance.token()[:200].replace(".", "", 1)
    answer = run_sign(instance, model, token=half, options=["--overwrite"])
    decided(answer, 4, "token-malformed")
    assert half not in json.dumps(answer.verdict)


def test_the_bundle_instead_of_the_model(instance, model) -> None:
    decided(verify(bundle_of(model), instance.trusted_root, instance.issuer), 2, "not-a-model")


def test_a_root_where_a_trust_config_belongs(instance, model) -> None:
    who = ("--identity", ALICE, "--issuer", instance.issuer)
    answer = invoke("verify", model, *who, "--trust-config", instance.trusted_root)
    decided(answer, 1, "trust-config")


def test_a_defect_of_ours_is_no_decision(monkeypatch, tmp_path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("modelseal.verification.inspect.inspect", broken)
    decided(invoke("inspect", tmp_path), 3, "internal")
