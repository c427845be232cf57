# SPDX-License-Identifier: Apache-2.0
"""Serve a classifier with LitServe: lit.py PORT."""

import os
import sys

import joblib
import litserve


class Digits(litserve.LitAPI):
    def setup(self, device):
        folder = os.environ["MODELSEAL_MODEL_digits"]
        self.model = joblib.load(os.path.join(folder, "model.joblib"))

    def decode_request(self, request):
        return request["rows"]

    def predict(self, rows):
        return self.model.predict(rows).tolist()

    def encode_response(self, output):
        return {"digits": output}


if __name__ == "__main__":
    server = litserve.LitServer(Digits(), accelerator="cpu")
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False
    )
