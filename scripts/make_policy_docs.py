# SPDX-License-Identifier: Apache-2.0
"""Write the JSON Schema of the policy, and the reference of its keys in docs/policy.md."""

from __future__ import annotations

import json
from pathlib import Path

from modelseal.policy import schema

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCHEMA = DOCS / "schema" / "policy.json"


def schema_text() -> str:
    """Return the text of docs/schema/policy.json."""
    return json.dumps(schema.to_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(schema_text())
