# SPDX-License-Identifier: Apache-2.0
"""A real MLServer, with each number of workers, over REST and gRPC."""

from __future__ import annotations

import shutil

import grpc
import pytest
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from patience import PATIENCE

REASON = (
    "Invalid signature for model 'tampered-model': The files are not the ones that were signed: "
    "changed: 'model.joblib'. [digest-mismatch]"
)


@pytest.fixture(scope="module", params=[0, 1, 2], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    models = [site.write("good-model"), site.write("tampered-model")]
    site.sign(*models)
    (models[1] / "model.joblib").write_bytes(site.payload())
    with start_mlserver(site, workers=request.param, **verified_settings(site)) as server:
        yield site, server


@pytest.fixture
def stub(serving):
    with grpc.insecure_channel(serving[1].grpc) as channel:
        yield GRPCInferenceServiceStub(channel)


def test_story_over_rest(serving):
    site, server = serving
    assert server.index() == {
        "good-model": ("UNAVAILABLE", ""),
        "tampered-model": ("UNAVAILABLE", REASON),
    }
    loaded = server.load("good-model")
    assert (loaded.status, loaded.text) == (200, "")
    assert server.infer("good-model", site.digits.rows) == site.digits.answers
    refused = server.load("tampered-model")
    assert (refused.status, refused.error) == (400, REASON)
    assert server.index()["good-model"] == ("READY", "")
    assert site.untouched


def test_story_over_grpc(serving, stub):
    site, _ = serving
    index = stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=PATIENCE).models
    assert {model.name: model.reason for model in index}["tampered-model"] == REASON
    stub.RepositoryModelLoad(
        pb.RepositoryModelLoadRequest(model_name="good-model"), timeout=PATIENCE
    )
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="rows",
        datatype="FP64",
        shape=[len(site.digits.rows), 64],
        contents=pb.InferTensorContents(fp64_contents=[x for row in site.digits.rows for x in row]),
    )
    request = pb.ModelInferRequest(model_name="good-model", inputs=[tensor])
    outputs = stub.ModelInfer(request, timeout=PATIENCE).outputs
    assert list(outputs[0].contents.int64_contents) == site.digits.answers
    with pytest.raises(grpc.RpcError) as refused:
        stub.RepositoryModelLoad(
            pb.RepositoryModelLoadRequest(model_name="tampered-model"), timeout=PATIENCE
        )
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == REASON
    assert site.untouched


def test_unknown_model_is_404_on_one_line(serving, stub):
    name = "no\nINFO forged"
    answer = serving[1].load(name)
    assert (answer.status, answer.error) == (404, r"Model 'no\nINFO forged' not found")
    with pytest.raises(grpc.RpcError) as missing:
        stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=PATIENCE)
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND
    assert "\nINFO forged" not in serving[1].log.read_text()


def test_refused_reload_keeps_the_accepted_copy_serving(serving):
    site, server = serving
    folder = site.signed("reloaded")
    assert server.load("reloaded").status == 200
    (folder / "model.joblib").write_bytes(site.payload())
    assert "[digest-mismatch]" in server.load("reloaded").error
    assert server.infer("reloaded", site.digits.rows) == site.digits.answers
    state, reason = server.index()["reloaded"]
    assert state == "READY"
    assert "[digest-mismatch]" in reason
    shutil.rmtree(folder)
    assert server.load("reloaded").status == 404
    assert server.infer("reloaded", site.digits.rows) == site.digits.answers
    assert site.untouched
