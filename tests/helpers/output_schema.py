# SPDX-License-Identifier: Apache-2.0
"""docs/schema/output-1.json as a validator: as programs read it, or with no member unknown."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "output-1.json").read_text())


def validator() -> Draft202012Validator:
    """Return the validator that a program would use."""
    return Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def strict_validator() -> Draft202012Validator:
    """Return a validator that takes documented members only."""
    return Draft202012Validator(_closed(copy.deepcopy(SCHEMA)), format_checker=FormatChecker())


def documented_commands() -> set[str]:
    """Return the commands whose documents are described."""
    definitions = SCHEMA["$defs"].values()
    commands = (one.get("properties", {}).get("command", {}) for one in definitions)
    return {name for one in commands for name in one.get("enum", [one.get("const")]) if name}


def _closed(schema: object) -> object:
    if isinstance(schema, dict):
        for value in schema.values():
            _closed(value)
        if "properties" in schema and "type" in schema:
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        for value in schema:
            _closed(value)
    return schema
