# SPDX-License-Identifier: Apache-2.0
"""The policy as a TOML document (TOML v1.0), read strictly.

    version = 1
    default = "deny"
    [trust]
    root = "trusted_root.json"      # relative to this file
    verifier = "modelseal"          # whose checks count: or "sigstore", or "both"
    [signers.release]
    identity = "alice@example.com"
    issuer = "https://issuer.example"
    [[rule]]                        # the first that covers a model decides
    models = ["*"]                  # case-sensitive globs over the model's name
    signers = ["release"]
    allow_ignored = ["*.md"]        # what the signer may have left out; without it, nothing
    [mlserver]
    runtimes = ["mlserver_sklearn.SKLearnModel"]

A key that is not known is an error: a misspelt rule must not be a rule that is not there.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from modelseal.errors import FormatError, shown
from modelseal.files import read_trusted
from modelseal.policy.rules import VERIFIERS, Policy, Rule
from modelseal.policy.signers import AcceptedIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.policy.rules import Verifier

LIMIT = 1024 * 1024  # bytes
VERSION = 1

_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[=.]""")
_KINDS: dict[type, str] = {str: "a string", list: "a list", dict: "a table", int: "an integer"}
T = TypeVar("T")


def load(path: Path) -> Policy:
    """Return the policy in the file `path`.

    Raises:
        UsageError, FormatError, Undecided: missing, not a policy, unreadable.
    """
    data = read_trusted(path, LIMIT, "policy")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("bad-policy", "The policy is not UTF-8.") from error
    return parse(text, Path(os.path.realpath(path)).parent)


def parse(text: str, folder: Path) -> Policy:
    """Return the policy in `text`; its relative paths are relative to `folder`.

    Raises:
        FormatError: not exactly the document above; the message has the line.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FormatError("bad-policy", f"The policy is not TOML: {shown(str(error))}.") from error
    return _Reader(text).policy(document, folder)


class _Reader:
    """Turns the parsed document into values; keeps the text only to name lines in errors."""

    def __init__(self, text: str) -> None:
        self._text = text

    def policy(self, document: dict[str, Any], folder: Path) -> Policy:
        top = ""
        self._known(document, top, ("version", "default", "trust", "signers", "rule", "mlserver"))
        if self._member(document, top, "version", int) != VERSION:
            self._fail(top, "version", f"The policy's version must be {VERSION}")
        if self._member(document, top, "default", str) != "deny":
            # "allow" would make every forgotten rule a hole
            self._fail(top, "default", 'The policy\'s default must be "deny"')
        trust_root, verifier = None, VERIFIERS[0]
        if "trust" in document:
            trust = self._table(document, top, "trust", ("root", "verifier"))
            trust_root = folder / self._member(trust, "trust", "root", str)
            if "verifier" in trust:
                verifier = self._verifier(trust)
        runtimes: tuple[str, ...] = ()
        if "mlserver" in document:
            mlserver = self._table(document, top, "mlserver", ("runtimes",))
            runtimes = self._strings(mlserver, "mlserver", "runtimes")
        signers = self._signers(document)
        rules = self._rules(document, {signer.name for signer in signers})
        return Policy(
            signers=signers,
            rules=rules,
            runtimes=runtimes,
            trust_root=trust_root,
            verifier=verifier,
        )

    def _verifier(self, trust: dict[str, Any]) -> Verifier:
        name = self._member(trust, "trust", "verifier", str)
        found = next((verifier for verifier in VERIFIERS if verifier == name), None)
        if found is None:
            said = f"The policy's 'verifier' is none of {', '.join(VERIFIERS)}"
            self._fail("trust", "verifier", said)
        return found

    def _signers(self, document: dict[str, Any]) -> tuple[AcceptedIdentity, ...]:
        tables = self._member(document, "", "signers", dict) if "signers" in document else {}
        found = []
        for name in tables:
            where = f"signers.{name}"
            table = self._table(tables, "signers", name, ("identity", "issuer"), where)
            identity, issuer = (
                self._member(table, where, key, str) for key in ("identity", "issuer")
            )
            found.append(AcceptedIdentity(name, identity, issuer))
        return tuple(found)

    def _rules(self, document: dict[str, Any], known: set[str]) -> tuple[Rule, ...]:
        tables = self._member(document, "", "rule", list) if "rule" in document else []
        found = []
        for number, table in enumerate(tables):
            where = f"rule#{number}"
            if not isinstance(table, dict):
                self._fail("", "rule", "The policy's 'rule' must be tables, [[rule]]")
            self._known(table, where, ("models", "signers", "allow_ignored"))
            ignored = "allow_ignored"
            rule = Rule(
                models=self._strings(table, where, "models"),
                signers=self._strings(table, where, "signers"),
                allow_ignored=self._strings(table, where, ignored) if ignored in table else (),
            )
            for name in rule.signers:
                if name not in known:
                    said = (
                        f"The policy has a rule with the signer '{shown(name)}', who is not defined"
                    )
                    self._fail(where, "signers", said)
            found.append(rule)
        return tuple(found)

    def _table(
        self, obj: dict[str, Any], within: str, name: str, keys: tuple[str, ...], where: str = ""
    ) -> dict[str, Any]:
        table = self._member(obj, within, name, dict, where or name)
        self._known(table, where or name, keys)
        return table

    def _known(self, table: dict[str, Any], where: str, keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                near = f" of [{shown(where.partition('#')[0])}]" if where else ""
                self._fail(where, key, f"The policy has an unknown key '{shown(key)}'{near}")

    def _strings(self, table: dict[str, Any], where: str, name: str) -> tuple[str, ...]:
        items = self._member(table, where, name, list)
        if not items or not all(isinstance(item, str) and item for item in items):
            self._fail(
                where, name, f"The policy's '{name}' must be a list of strings, at least one"
            )
        return tuple(items)

    def _member(
        self, table: dict[str, Any], where: str, name: str, kind: type[T], header: str = ""
    ) -> T:
        if name not in table:
            near = f"[{shown(where.partition('#')[0])}]" if where else "policy"
            self._fail(where, None, f"The {near} has no '{name}'")
        value = table[name]
        if type(value) is not kind or (kind is str and not value):
            said = f"The policy's '{shown(name)}' must be {_KINDS[kind]}"
            self._fail(header or where, None if header else name, said)
        return value

    def _fail(self, where: str, key: str | None, said: str) -> NoReturn:
        line = _line_of(self._text, where, key)
        place = f" (line {line})" if line else ""
        raise FormatError("bad-policy", f"{said}{place}.", "See the policy's documentation.")


def _line_of(text: str, where: str, key: str | None) -> int | None:
    """Return the line of `key` in the table `where`, or of its header; tomllib tells neither.

    `where` is as in "signers.release" or, for the second [[rule]], "rule#1". The line is for
    people: in other spellings (inline tables, dotted keys) the first line with the word must do.
    """
    table, rules, header = "", 0, None
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.match(line):
            table = match[2].replace('"', "").replace("'", "").replace(" ", "")
            if match[1] == "[[":
                table, rules = f"{table}#{rules}", rules + 1
            if table == where:
                header = number
            if key is not None and table == (f"{where}.{key}" if where else key):
                return number
        elif table == where and key is not None:
            found = _KEY.match(line)
            if found and found[1].strip("\"'") == key:
                return number
    if header is not None or key is None:
        return header
    return next((n for n, line in enumerate(text.split("\n"), 1) if key in line), None)


def to_toml(policy: Policy) -> str:
    """Return the document of `policy`; `parse` gives it back."""
    lines = [f"version = {VERSION}", 'default = "deny"']
    if policy.trust_root is not None:
        lines += ["", "[trust]", f"root = {_quoted(str(policy.trust_root))}"]
        lines += [f"verifier = {_quoted(policy.verifier)}"]
    for signer in policy.signers:
        if not isinstance(signer, AcceptedIdentity):
            raise NotImplementedError
        lines += ["", f"[signers.{_quoted(signer.name)}]"]
        lines += [f"identity = {_quoted(signer.identity)}", f"issuer = {_quoted(signer.issuer)}"]
    for rule in policy.rules:
        lines += ["", "[[rule]]"]
        lines += [f"models = {_list(rule.models)}", f"signers = {_list(rule.signers)}"]
        if rule.allow_ignored:
            lines += [f"allow_ignored = {_list(rule.allow_ignored)}"]
    if policy.runtimes:
        lines += ["", "[mlserver]", f"runtimes = {_list(policy.runtimes)}"]
    return "\n".join(lines) + "\n"


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(item) for item in items)}]"


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes, and DEL, which JSON lets pass."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
