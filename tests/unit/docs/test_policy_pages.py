# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import runpy
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parents[3]
MADE = runpy.run_path(str(ROOT / "scripts" / "make_policy_docs.py"))


def test_the_published_schema_is_that_of_the_reader():
    published = (ROOT / "docs" / "schema" / "policy.json").read_text()
    assert published == MADE["schema_text"]()
    jsonschema.Draft202012Validator.check_schema(json.loads(published))
