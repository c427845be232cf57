# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import jsonschema

from modelseal.model.content import FORMATS

ROOT = Path(__file__).resolve().parents[3]
MADE = runpy.run_path(str(ROOT / "scripts" / "make_policy_docs.py"))


def test_the_published_schema_is_that_of_the_reader():
    published = (ROOT / "docs" / "schema" / "policy.json").read_text()
    assert published == MADE["schema_text"]()
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


def test_the_reference_is_that_of_the_reader():
    assert (ROOT / "docs" / "policy.md").read_text() == MADE["page"]()


def test_every_format_and_every_link_of_the_page_is_there():
    page = (ROOT / "docs" / "policy.md").read_text()
    for name in FORMATS:
        assert f"`{name}`" in page
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (ROOT / "docs" / target).is_file(), target


def test_the_table_of_known_holes_is_that_of_the_code():
    made = runpy.run_path(str(ROOT / "scripts" / "make_holes_docs.py"))["page"]()
    assert (ROOT / "docs" / "servers.md").read_text() == made, "run: make docs"
