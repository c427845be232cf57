# SPDX-License-Identifier: Apache-2.0
"""Serve an ONNX model with Uvicorn; careless on purpose: POST /load opens whatever it is told."""

import json
import os
import urllib.request

import onnxruntime

model = onnxruntime.InferenceSession(os.path.join(os.environ["MODELSEAL_MODEL_scale"], "m.onnx"))


def answer(path, body):
    global model
    if path == "/load":
        model = onnxruntime.InferenceSession(body["path"])
    if path == "/fetch":
        with urllib.request.urlopen(body["url"]) as fetched:
            model = onnxruntime.InferenceSession(fetched.read())
    if path == "/overwrite":
        with open(body["path"], "wb") as file:
            file.write(b"")
    if path == "/run":
        return {"y": model.run(None, {"x": body["x"]})[0].tolist()}
    return {}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    data, more = b"", True
    while more:
        message = await receive()
        data, more = data + message.get("body", b""), message.get("more_body", False)
    try:
        status, found = 200, answer(scope["path"], json.loads(data or b"{}"))
    except Exception as error:
        status, found = 500, {"error": repr(error)}
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
