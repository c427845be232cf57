# SPDX-License-Identifier: Apache-2.0
"""Each server serves the model that was signed, whatever happens to it, and whatever is asked."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import threading

import pytest
from model_servers import ENVIRONMENT
from patience import PATIENCE

pytestmark = pytest.mark.interop

ROWS = [[2.0, 2.0], [0.0, 0.0]]
SITE_PACKAGES = ENVIRONMENT / "lib" / "python3.11" / "site-packages"


def classifier(site, name="digits"):
    """Return a signed classifier; NAME-evil beside it answers differently and is not signed."""
    for folder, offset in ((name, 0), (f"{name}-evil", 100)):
        (site.models / folder).mkdir()
        site.made("make_sklearn.py", site.models / folder / "model.joblib", offset)
    return site.models / name


def test_llama_cpp(site, port):
    for seed, name in enumerate(("tiny", "tiny-evil")):
        (site.models / name).mkdir()
        site.made("make_gguf.py", site.models / name / "tiny.gguf", seed)
    site.sign(site.models / "tiny")
    site.program("llama.py")
    command = site.documented("llama.cpp", port)
    prompt = {"prompt": "abc", "n_predict": 8, "temperature": 0, "cache_prompt": False}

    def tokens(server):
        return server.post("/completion", prompt | {"return_tokens": True}).json["tokens"]

    with site.running(command, port=port, ready="/health") as server:
        first = tokens(server)
        assert len(first) == 8
        site.swapped("tiny")
        evil = str(site.models / "tiny" / "tiny.gguf")
        for path, body in (
            ("/models/load", {"model": evil}),
            ("/models", {"model": evil}),
            ("/props", {"model_path": evil, "model": evil}),
            ("/slots/0?action=restore", {"filename": evil}),
            ("/slots/0?action=restore", {"filename": "../models/tiny/tiny.gguf"}),
            ("/lora-adapters", [{"id": 0, "path": evil, "scale": 1.0}]),
            ("/completion", prompt | {"model": evil, "lora": [{"id": 0, "scale": 1.0}]}),
            ("/v1/chat/completions", {"model": evil, "messages": []}),
        ):
            server.post(path, body)
        assert tokens(server) == first
        served = server.get("/props").json["model_path"]
        assert served.startswith(f"{site.store}/")

    refused = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 1  # what was put in its place, which would have answered otherwise
    site.sign(site.models / "tiny")
    with site.running(command, port=port, ready="/health") as server:
        assert tokens(server) != first


class Triton:
    """A repository with one Python model that doubles, signed as a whole."""

    def __init__(self, site, libpython, port) -> None:
        triton = SITE_PACKAGES / "pytriton" / "tritonserver"
        backends = site.folder / "backends"
        backends.mkdir()
        python = backends / "python"
        python.mkdir()
        for file in (triton / "backends" / "python").iterdir():
            (python / file.name).write_bytes(file.read_bytes())
        stub = python / "triton_python_backend_stub"
        stub.write_bytes((triton / "python_backend_stubs" / "3.11" / stub.name).read_bytes())
        stub.chmod(0o755)
        self.repository = site.models / "repository"
        self._write(self.repository, 2)
        self._write(site.models / "repository-evil", 200)
        site.sign(self.repository)
        program = triton / "bin" / "tritonserver"
        documented = site.documented("Triton", port, tritonserver=program)
        # Its container has these in the system.
        more = [f"--allow-read={one}" for one in (ENVIRONMENT, backends, libpython)]
        more.append(f"--allow-write={site.pwned.parent}")
        at = documented.index("--")
        self.command = [
            *documented[:at], *more, *documented[at:], f"--backend-directory={backends}",
        ]  # fmt: skip
        libraries = SITE_PACKAGES / "nvidia_pytriton.libs"
        self.settings = {
            "port": port,
            "ready": "/v2/health/ready",
            "env": {"LD_LIBRARY_PATH": f"{libpython}:{libraries}"},
        }

    def _write(self, repository, factor):
        model = repository / "scale"
        (model / "1").mkdir(parents=True)
        (model / "config.pbtxt").write_text(
            'name: "scale"\nbackend: "python"\nmax_batch_size: 0\n'
            'input [{ name: "X" data_type: TYPE_FP32 dims: [ -1 ] }]\n'
            'output [{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }]\n'
            "instance_group [{ kind: KIND_CPU }]\n"
        )
        (model / "1" / "model.py").write_text(
            f"import sys\nsys.path.append({str(SITE_PACKAGES)!r})\n"
            "import triton_python_backend_utils as utils\n\n\n"
            "class TritonPythonModel:\n"
            "    def execute(self, requests):\n"
            "        inputs = [utils.get_input_tensor_by_name(one, 'X') for one in requests]\n"
            f"        outputs = [utils.Tensor('Y', x.as_numpy() * {factor}) for x in inputs]\n"
            "        return [utils.InferenceResponse([one]) for one in outputs]\n"
        )

    @staticmethod
    def infer(server):
        tensor = {"name": "X", "shape": [2], "datatype": "FP32", "data": [1, 2]}
        answer = server.post("/v2/models/scale/infer", {"inputs": [tensor]})
        return answer.json["outputs"][0]["data"]

    @staticmethod
    def load_with_code(server, code):
        """Ask for a model whose configuration and code are in the request."""
        config = {"backend": "python", "instance_group": [{"kind": "KIND_CPU"}]}
        data = base64.b64encode(code.encode()).decode()
        return server.post(
            "/v2/repository/models/evil/load",
            {"parameters": {"config": json.dumps(config), "file:1/model.py": data}},
        )


def test_triton(site_outside_tmp, libpython, port):
    site = site_outside_tmp
    triton = Triton(site, libpython, port)
    touch = f"import pathlib; pathlib.Path({str(site.pwned)!r}).touch()"
    with site.running(triton.command, **triton.settings) as server:
        assert triton.infer(server) == [2, 4]
        site.swapped("repository")
        for name in ("scale", "evil"):
            answer = server.post(f"/v2/repository/models/{name}/load", {})
            assert "load / unload is not allowed" in answer.text
        assert "load / unload is not allowed" in triton.load_with_code(server, touch).text
        assert triton.infer(server) == [2, 4]
        assert {one["name"] for one in server.post("/v2/repository/index", {}).json} == {"scale"}
    assert not site.pwned.exists()


def test_triton_in_explicit_mode(site_outside_tmp, libpython, port):
    """The hole is real: a request brings code, and it runs. It is refused unless it is allowed."""
    site = site_outside_tmp
    triton = Triton(site, libpython, port)
    explicit = {"--model-control-mode=none": "--model-control-mode=explicit"}
    command = [explicit.get(word, word) for word in (*triton.command, "--load-model=scale")]
    site.pwned.parent.mkdir()
    refused = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 1
    assert b"[known-hole]" in refused.stderr

    site.allow("triton-model-control")
    original = site.models / "repository-evil" / "scale" / "1" / "model.py"
    code = (
        "import os, pathlib\n"
        f"out = pathlib.Path({str(site.pwned)!r})\n"
        "out.write_text('ran')\n"
        f"out.write_text(open({str(original)!r}).read())\n"
    )
    with site.running(command, **triton.settings) as server:
        triton.load_with_code(server, code)
        assert triton.infer(server) == [2, 4]
    # Even then the kernel keeps it from reading a model that was not admitted.
    assert site.pwned.read_text() == "ran"


def test_litserve(site, port):
    site.sign(classifier(site))
    site.program("lit.py")
    command = site.documented("LitServe", port)
    with site.running(command, port=port, ready="/health") as server:
        assert server.post("/predict", {"rows": ROWS}).json == {"digits": [2, 0]}
        site.swapped("digits")
        for body in ({"rows": ROWS, "model": str(site.models / "digits")}, {"rows": "__import__"}):
            server.post("/predict", body)
        assert server.post("/predict", {"rows": ROWS}).json == {"digits": [2, 0]}


def test_bentoml(site, port):
    site.sign(classifier(site))
    site.program("bento.py")
    command = site.documented("BentoML", port)
    env = {"BENTOML_DO_NOT_TRACK": "True"}
    with site.running(command, port=port, ready="/livez", env=env) as server:
        assert server.post("/predict", {"rows": ROWS}).json == [2, 0]
        site.swapped("digits")
        server.post("/predict", {"rows": ROWS, "model": "digits:latest"})
        assert server.post("/predict", {"rows": ROWS}).json == [2, 0]


def test_mlserver_without_our_repository(site, port):
    digits = classifier(site)
    settings = {
        "name": "digits", "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }  # fmt: skip
    for folder in (digits, site.models / "digits-evil"):
        (folder / "model-settings.json").write_text(json.dumps(settings))
    site.sign(digits)
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": ROWS}

    def infer(server):
        answer = server.post("/v2/models/digits/infer", {"inputs": [tensor]})
        return answer.json["outputs"][0]["data"]

    env = {
        "MLSERVER_HOST": "127.0.0.1", "MLSERVER_HTTP_PORT": str(port), "MLSERVER_GRPC_PORT": "0",
        "MLSERVER_METRICS_PORT": "0", "MLSERVER_PARALLEL_WORKERS": "0",
    }  # fmt: skip
    command = site.documented("MLServer, without our repository", port)
    with site.running(command, port=port, ready="/v2/models/digits/ready", env=env) as server:
        assert infer(server) == [2, 0]
        site.swapped("digits")
        assert server.post("/v2/repository/models/digits/load", {}).status == 200
        assert infer(server) == [2, 0]
        evil = site.models / "planted"
        evil.mkdir()
        (evil / "model-settings.json").write_text(json.dumps(settings | {"name": "planted"}))
        assert server.post("/v2/repository/models/planted/load", {}).status == 404
        assert server.post("/v2/repository/models/..%2Fmodels/load", {}).status == 404
        names = {one["name"] for one in server.post("/v2/repository/index", {}).json}
        assert names == {"digits"}


def test_uvicorn_and_onnxruntime(site, port):
    """Its own code opens what requests say, and the kernel refuses."""
    for name, factor in (("scale", 2), ("scale-evil", 200)):
        (site.models / name).mkdir()
        site.made("make_onnx.py", site.models / name / "m.onnx", factor)
    site.sign(site.models / "scale")
    evil = (site.models / "scale-evil" / "m.onnx").read_bytes()
    program = site.program("asgi.py")
    command = site.documented("Uvicorn and ONNX Runtime", port)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(evil)

        def log_message(self, *_):
            pass

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as elsewhere,
        site.running(command, port=port, ready="/") as server,
    ):  # fmt: skip
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        assert server.post("/run", {"x": [1, 2]}).json == {"y": [2, 4]}
        site.swapped("scale")
        url = f"http://127.0.0.1:{elsewhere.server_address[1]}/m.onnx"
        copy = next(one for one in site.store.iterdir() if not one.name.startswith("."))
        for path, body in (
            ("/load", {"path": str(site.models / "scale" / "m.onnx")}),
            ("/load", {"path": f"/proc/self/root{site.models}/scale/m.onnx"}),
            ("/fetch", {"url": url}),
            ("/overwrite", {"path": str(copy / "m.onnx")}),
            ("/overwrite", {"path": str(program)}),
        ):
            answer = server.post(path, body)
            assert answer.status == 500, (path, answer)
        assert server.post("/run", {"x": [1, 2]}).json == {"y": [2, 4]}
        elsewhere.shutdown()
