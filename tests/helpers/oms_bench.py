# SPDX-License-Identifier: Apache-2.0
"""A model and a key for the tests of OMS: whatever they sign with it, the client is asked."""

from __future__ import annotations

import hashlib
import io
import json
import runpy
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.formats import intoto, oms
from modelseal.model import manifest, scope
from modelseal.signing.signers.key import KeySigner
from modelseal.trust import keys

_CLIENT = Path(__file__).parents[1] / "conformance" / "oms"
_main = runpy.run_path(str(_CLIENT), run_name="client")["main"]
FILES = {"a": b"aaaaaaaa", "sub/b": b"bbbbbbbbbb", "w": b"wwww", "w:0:4": b"wwww", "x\\y": b"x"}


class Answer(NamedTuple):
    code: int
    said: str


def run(*arguments: object) -> Answer:
    """Return how the conformance client ends, in this process: a hundred cases are quick then."""
    with redirect_stderr(io.StringIO()) as said:
        code = _main([str(argument) for argument in arguments])
    return Answer(code, said.getvalue())


class Bench:
    """A model, a key, and whatever is signed with it."""

    def __init__(self, folder: Path) -> None:
        self.model, self.bundle, self.public = folder / "model", folder / "m.sig", folder / "k.pub"
        for name, content in FILES.items():
            (self.model / name).parent.mkdir(parents=True, exist_ok=True)
            (self.model / name).write_bytes(content)
        self.key, self.said = ec.generate_private_key(ec.SECP256R1()), ""
        self.believe(self.key.public_key())

    def believe(self, public) -> None:
        self.public.write_bytes(keys.public_pem(public))

    def statement(self, **how) -> dict:
        found = manifest.of_folder(
            self.model, scope.to_sign(self.model), how=oms.serialization(**how)
        )
        return json.loads(intoto.to_bytes(oms.to_statement(found.manifest, "model")))

    def sign(self, statement: dict) -> dict:
        """Write and return the bundle of `statement`."""
        return self.write(json.loads(KeySigner(self.key).statement(json.dumps(statement).encode())))

    def write(self, bundle: dict) -> dict:
        self.bundle.write_text(json.dumps(bundle))
        return bundle

    def refusal(self, *options: object) -> str:
        """Return the code with which the bundle is refused, "" if it is not."""
        command = [
            "verify-model", "--method", "key", "--model-path", self.model,
            "--bundle", self.bundle, "--public-key", self.public, *options,
        ]  # fmt: skip
        code, self.said = run(*command)
        return self.said.rsplit("[", 1)[1].split("]")[0] if code else ""


def rooted(statement: dict) -> None:
    """Make the root digest that of the resources as they are listed."""
    raw = b"".join(bytes.fromhex(r["digest"]) for r in statement["predicate"]["resources"])
    statement["subject"][0]["digest"] = {"sha256": hashlib.sha256(raw).hexdigest()}


def resources(change):
    """Return the change of a statement that changes its resources and makes the root fit."""

    def changed(statement: dict) -> None:
        change(statement["predicate"]["resources"])
        rooted(statement)

    return changed


def named(name: str):
    return resources(lambda listed: listed[0].update(name=name))


def serialized(**members):
    """Return the change that sets members of the serialization; `...` takes one away."""

    def changed(statement: dict) -> None:
        for name, value in members.items():
            statement["predicate"]["serialization"][name] = value
            if value is ...:
                del statement["predicate"]["serialization"][name]

    return changed
