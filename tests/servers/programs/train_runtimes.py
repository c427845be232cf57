# SPDX-License-Identifier: Apache-2.0
"""Train a tiny model for each runtime in a folder; print rows and answers as JSON."""

import json
import sys
from pathlib import Path

import lightgbm
import mlflow.sklearn
import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression

folder = Path(sys.argv[1])
rng = np.random.default_rng(7)
rows = rng.normal(size=(200, 4))
target = (rows[:, 0] + rows[:, 1] > 0).astype(int)
asked = rows[:5]

boosted = xgboost.train(
    {"objective": "reg:squarederror", "nthread": 1}, xgboost.DMatrix(rows, target), 5
)
boosted.save_model(folder / "xgboost" / "model.json")

light = lightgbm.train(
    {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5},
    lightgbm.Dataset(rows, target), 5,
)  # fmt: skip
light.save_model(folder / "lightgbm" / "model.bst")

regression = LogisticRegression().fit(rows, target)
mlflow.sklearn.save_model(regression, folder / "mlflow" / "model", input_example=asked)

print(json.dumps({
    "rows": asked.tolist(),
    "xgboost": boosted.predict(xgboost.DMatrix(asked)).tolist(),
    "lightgbm": light.predict(asked).tolist(),
    "mlflow": regression.predict(asked).tolist(),
}))  # fmt: skip
