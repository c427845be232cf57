# SPDX-License-Identifier: Apache-2.0
"""Write the JSON Schema of the policy, and the reference of its keys in docs/policy.md."""

from __future__ import annotations

import json
from pathlib import Path

from modelseal.policy import schema

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCHEMA, PAGE = DOCS / "schema" / "policy.json", DOCS / "policy.md"

MARK = "<!-- Below: every key, written by scripts/make_policy_docs.py -->\n"
_KINDS = {
    "text": "string",
    "texts": "list of strings",
    "text or texts": "string, or list of strings",
    "integer": "integer",
    "boolean": "true or false",
    "moment": "date or time",
    "duration": "number and s, h, d or w",
    "size": "number and B, kB, MB, GB or TB",
    "table": "table",
    "tables": "tables",
    "named tables": "tables",
}
_TABLES = {
    "the document": schema.DOCUMENT,
    "[trust]": schema.DOCUMENT["trust"].table,
    "[signers.NAME]": schema.SIGNER,
    "[signers.NAME.github], [signers.NAME.gitlab]": schema.SIGNER["github"].table,
    "[[rule]]": schema.RULE,
    "[[revoked]]": schema.REVOKED,
    "[store]": schema.STORE,
    "[log]": schema.LOG,
    "[mlserver]": schema.MLSERVER,
    "[exec]": schema.DOCUMENT["exec"].table,
}


def schema_text() -> str:
    """Return the text of docs/schema/policy.json."""
    return json.dumps(schema.to_json_schema(), indent=2) + "\n"


def page() -> str:
    """Return the text of docs/policy.md."""
    by_hand = PAGE.read_text().partition(MARK)[0]
    return by_hand + MARK + "".join(_section(name, keys) for name, keys in _TABLES.items())


def _section(name: str, keys: dict[str, schema.Key]) -> str:
    rows = "".join(
        f"| `{key}`{' (required)' if one.required else ''} | {_values(one)} | {one.meaning} |\n"
        for key, one in keys.items()
    )
    return f"\n### `{name}`\n\n| key | value | meaning |\n|---|---|---|\n{rows}"


def _values(key: schema.Key) -> str:
    if key.choices and key.kind in {"text", "integer"}:
        return ", ".join(f"`{json.dumps(one)}`" for one in key.choices)
    return _KINDS[key.kind]


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(schema_text())
    PAGE.write_text(page())
