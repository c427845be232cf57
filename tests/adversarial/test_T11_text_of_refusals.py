# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import grpc
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from patience import PATIENCE


def _refusal(server, name):
    with grpc.insecure_channel(server.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        try:
            stub.RepositoryModelLoad(
                pb.RepositoryModelLoadRequest(model_name=name), timeout=PATIENCE
            )
        except grpc.RpcError as error:
            return error
    raise AssertionError(name)


def test_a_megabyte_of_junk_is_not_quoted(site, server):
    folder = site.signed("junk-bundle")
    (folder / "model.sig").write_bytes(b'{"' + b"A\n" * 500_000 + b'": 1}')
    error = _refusal(server, "junk-bundle")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert len(error.details()) < 2000
    assert server.load("junk-bundle").error == error.details()


def test_bundle_larger_than_the_bound(site, server):
    folder = site.signed("huge-bundle")
    with (folder / "model.sig").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert server.load("huge-bundle").error.endswith("[too-large]")


def test_names_of_files_are_escaped_and_counted(site, server):
    folder = site.signed("many-names")
    for number in range(500):
        (folder / f"{number:03}\n\x1b[31m{'x' * 200}").touch()
    error = _refusal(server, "many-names")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "and 497 more" in error.details()
    assert error.details().isprintable()
    assert len(error.details()) < 2000


def test_long_and_forged_model_names(server):
    for name in ("x" * 100_000, "a\r\nb", "\x1b[2J", "", " ", "\u202eevil"):
        error = _refusal(server, name)
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert error.details().isprintable()
        assert len(error.details()) < 300
    log = server.log.read_text()
    assert "\x1b[2J" not in log
    assert "x" * 1000 not in log


def test_a_folder_that_cannot_be_named_does_not_break_the_index(site, server):
    (site.models / "line\nbreak").mkdir()
    (site.models.joinpath("bad").with_name("\udcff\udcfe")).mkdir()
    assert all(name.isprintable() for name in server.index())


def test_no_answer_holds_a_path_of_the_server(site, server):
    """The operator finds it in the log."""
    before = set(server.index())  # of other files of tests
    unsigned = site.write("never-signed")
    (site.models / "link").symlink_to(unsigned)
    for name, spoil in {
        "no-read": lambda folder: (folder / "model.joblib").chmod(0),
        "pipe": lambda folder: os.mkfifo(folder / "pipe"),
        "inner-link": lambda folder: (folder / "inner").symlink_to("/etc/passwd"),
        "not-utf8": lambda folder: (folder / os.fsdecode(b"\xff")).touch(),
        "junk": lambda folder: (folder / "model.sig").write_text("junk"),
        "gone": lambda folder: (folder / "model.joblib").unlink(),
    }.items():
        spoil(site.signed(name))
    found = server.index()
    assert found["never-signed"][1] == (
        "Unsigned model 'never-signed': 'never-signed' has no signature at 'model.sig'. [unsigned]"
    )
    refused = {name: reason for name, (_, reason) in found.items() if reason}
    refused = {name: refused[name] for name in refused.keys() - before}
    assert len(refused) >= 6
    for name, reason in refused.items():
        answers = (reason, server.load(name).error, _refusal(server, name).details())
        assert all("/" not in text.replace("sub/", "") for text in answers), answers
    assert str(unsigned) in server.log.read_text()


def test_a_good_signature_of_somebody_else_is_not_called_invalid(site, server):
    folder = site.write("signed-by-mallory")
    site.sign(folder, identity="mallory@example.com")
    assert server.load("signed-by-mallory").error.startswith("Refused model 'signed-by-mallory': ")
