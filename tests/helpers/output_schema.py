# SPDX-License-Identifier: Apache-2.0
"""docs/schema/output-1.json as a validator: as programs read it, or with no member unknown."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "output-1.json").read_text())


def validator() -> Draft202012Validator:
    """Return the validator that a program would use."""
    return Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def problem(document: dict) -> str | None:
    """Return what in `document` is not as described, or not described; None if there is nothing."""
    name = "errorDocument" if "error" in document else _definition_of(document["command"])
    closed = {"$ref": f"#/$defs/{name}", "$defs": _closed(copy.deepcopy(SCHEMA["$defs"]))}
    worst = best_match(Draft202012Validator(closed).iter_errors(document))
    if worst is not None:
        return f"{worst.json_path}: {worst.message}"
    return None if validator().is_valid(document) else "not one of the documents"


def _definition_of(command: str) -> str:
    """Return the name of the definition of what `command` prints."""
    for name, one in SCHEMA["$defs"].items():
        described = one.get("properties", {}).get("command", {})
        if command in described.get("enum", [described.get("const")]):
            return name
    raise AssertionError(command)


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
