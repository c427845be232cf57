# SPDX-License-Identifier: Apache-2.0
"""Serve a classifier with BentoML: bentoml serve bento:Digits."""

import os

import bentoml
import joblib


@bentoml.service(workers=1)
class Digits:
    def __init__(self):
        folder = os.environ["MODELSEAL_MODEL_digits"]
        self.model = joblib.load(os.path.join(folder, "model.joblib"))

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[int]:
        return self.model.predict(rows).tolist()
