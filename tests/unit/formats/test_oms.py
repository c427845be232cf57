# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

from modelseal.errors import FormatError
from modelseal.formats import intoto, oms

DIGEST = bytes(range(32))


def resource(name: str) -> oms.Resource:
    return oms.Resource(name, DIGEST)


def statement(*names: str) -> intoto.Statement:
    return oms.to_statement(oms.manifest([resource(n) for n in names]), "m")


def changed(path: tuple, value: object) -> intoto.Statement:
    """Return a good statement with one member of its predicate replaced."""
    good = statement("a", "b")
    predicate = copy.deepcopy(good.predicate)
    target = predicate
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return good._replace(predicate=predicate)


def test_names_are_sorted_by_code_point_not_by_component() -> None:
    found = oms.manifest([resource(n) for n in ("ab", "a/b", "a.b", "a-b")])
    assert [r.name for r in found.resources] == ["a-b", "a.b", "a/b", "ab"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "a\0b",
        "x" * 256,
        "a/" * 3000,
    ],
)
def test_names_that_leave_the_model_are_refused(name: str) -> None:
    with pytest.raises(FormatError) as refused:
        oms.check_name(name)
    assert refused.value.code == "bad-name"


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        oms.check_name("\udcff")
    assert refused.value.code == "name-not-utf8"


@pytest.mark.parametrize("name", ["a", "a/b", "café", "cafe\u0301", "a\nb", "a\\b", "...", ".git"])
def test_names_are_byte_exact(name: str) -> None:
    assert oms.check_name(name) == name


def test_twice_the_same_name_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        oms.manifest([resource("a"), resource("a")])
    assert refused.value.code == "duplicate-name"


def test_an_empty_model_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        oms.manifest([])
    assert refused.value.code == "empty-model"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("resources", 0, "digest"), "00" * 32, "root-mismatch"),
        (("resources", 0, "digest"), "AA" * 32, "bad-digest"),
        (("resources", 0, "algorithm"), "md5", "bad-digest"),
        (("resources", 0, "name"), "../a", "bad-name"),
        (("resources", 1, "name"), "a", "duplicate-name"),
        (("resources", 0), "a", "wrong-type"),
        (("resources",), {}, "wrong-type"),
        (("serialization", "method"), "other", "unsupported-serialization"),
        (("serialization", "ignore_paths"), [1], "wrong-type"),
    ],
)
def test_bad_predicates(path: tuple, value: object, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        oms.from_statement(changed(path, value))
    assert refused.value.code == code


def test_other_predicates_are_not_model_signatures() -> None:
    other = statement("a")._replace(predicate_type="https://slsa.dev/provenance/v1")
    with pytest.raises(FormatError) as refused:
        oms.from_statement(other)
    assert refused.value.code == "not-a-model-signature"


def test_forms_that_model_signing_wrote_are_read() -> None:
    """Any order, and "." for the file of a single-file model."""
    good = statement("a", "b")
    predicate = copy.deepcopy(good.predicate)
    predicate["resources"].reverse()
    assert oms.from_statement(good._replace(predicate=predicate)) == oms.from_statement(good)
    assert oms.from_statement(statement(".")).resources[0].name == oms.SINGLE_FILE
