# SPDX-License-Identifier: Apache-2.0
"""Inclusion proofs and checkpoints."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

from client_cases.case import (
    CASES,
    V1,
    V2,
    Case,
    Json,
    Shop,
    case,
    entry_of,
    flipped,
)
from modelseal.formats import checkpoint, merkle, note

if TYPE_CHECKING:
    from collections.abc import Callable


@case("inclusion-proof-corrupted-hash_fail")
def _(shop: Shop) -> Case:
    shop.bundle(*V2)
    bundle = shop.bundle(*V2)
    proof = entry_of(bundle)["inclusionProof"]
    proof["hashes"][0] = flipped(proof["hashes"][0])
    return Case(bundle)


@case("invalid-inclusion-proof_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    entry_of(bundle)["inclusionProof"] = entry_of(shop.bundle(*V1))["inclusionProof"]
    return Case(bundle)


@case("rekor2-no-inclusion-proof_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    del entry_of(bundle)["inclusionProof"]
    return Case(bundle)


def with_checkpoint(shop: Shop, envelope: str) -> Case:
    bundle = shop.bundle(*V1)
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = envelope
    return Case(bundle)


def checkpoint_of(bundle: Json) -> str:
    return entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"]


@case("checkpoint-bad-keyhint_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    read = note.parse_note(checkpoint_of(bundle).encode())
    (one,) = read.signatures
    changed = note.Signature(one.name, b"\0\0\0\0", one.signature)
    text = note.format_note(note.Note(read.text, (changed,))).decode()
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = text
    return Case(bundle)


@case("checkpoint-wrong-roothash_fail")
def _(shop: Shop) -> Case:
    return with_checkpoint(shop, shop.log_v1.checkpoint(b"another body"))


@case("invalid-checkpoint-signature_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    head, blob = checkpoint_of(bundle).rstrip("\n").rsplit(" ", 1)
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = f"{head} {flipped(blob)}\n"
    return Case(bundle)


def rekor2(shop: Shop, change: Callable[[str, note.Signature], str | bytes]) -> Case:
    """Return a version 2 entry in a log of one leaf; `change` makes the note of text and line."""
    bundle = shop.bundle(*V2)
    body = b64decode(entry_of(bundle)["canonicalizedBody"])
    entry = shop.log_v1.entry("hashedrekord", "0.0.2", body, 0)
    del entry["inclusionPromise"], entry["integratedTime"]
    entry["logIndex"] = "0"
    found = checkpoint.Checkpoint("rekor.test", 1, merkle.leaf_hash(body))
    text = checkpoint.format_checkpoint(found)
    signed = shop.log_v1.sign(text.encode())
    line = note.Signature("rekor.test", shop.log_v1.log_id[:4], signed)
    made = change(text, line)
    envelope = made if isinstance(made, str) else made.decode()
    entry["inclusionProof"]["checkpoint"]["envelope"] = envelope
    bundle["verificationMaterial"]["tlogEntries"] = [entry]
    return Case(bundle)


WITNESS = note.Signature("witness.test/w1", b"\1\2\3\4", b"cosignature" * 8)
SECOND_WITNESS = note.Signature("witness.test/w2", b"\5\6\7\x08", b"cosignature" * 8)
SECOND_KEY = note.Signature("rekor.test", b"\x09\x0a\x0b\x0c", b"by a later algorithm")


def signed_by(*others: note.Signature, first: bool = False) -> Callable[[Shop], Case]:
    def made(text: str, line: note.Signature) -> bytes:
        lines = (*others, line) if first else (line, *others)
        return note.format_note(note.Note(text, lines))

    return lambda shop: rekor2(shop, made)


CASES |= {
    "rekor2-happy-path": signed_by(),
    "rekor2-checkpoint-cosigned": signed_by(WITNESS),
    "rekor2-checkpoint-multiple-cosigs": signed_by(WITNESS, SECOND_WITNESS),
    "rekor2-checkpoint-origin-not-first": signed_by(WITNESS, first=True),
    "rekor2-checkpoint-two-sigs-from-origin": signed_by(SECOND_KEY),
    "rekor2-checkpoint-two-sigs-cosigned": signed_by(SECOND_KEY, WITNESS, first=True),
}


def without_line(number: int) -> Callable[[Shop], Case]:
    """Return a case whose signed text lacks a line; the log signed that very text."""

    def make(shop: Shop) -> Case:
        def made(text: str, _line: note.Signature) -> bytes:
            lines = text.splitlines(keepends=True)
            del lines[number]
            short = "".join(lines)
            signed = shop.log_v1.sign(short.encode())
            line = note.Signature("rekor.test", shop.log_v1.log_id[:4], signed)
            return note.format_note(note.Note(short, (line,)))

        return rekor2(shop, made)

    return make


CASES |= {
    "rekor2-checkpoint-missing-origin_fail": without_line(0),
    "rekor2-checkpoint-missing-size_fail": without_line(1),
    "rekor2-checkpoint-missing-root-hash_fail": without_line(2),
}


@case("rekor2-checkpoint-missing-log-signature_fail")
def _(shop: Shop) -> Case:
    return rekor2(shop, lambda text, _line: note.format_note(note.Note(text, (WITNESS,))))


@case("rekor2-checkpoint-no-matching-signature_fail")
def _(shop: Shop) -> Case:
    def made(text: str, line: note.Signature) -> bytes:
        other = note.Signature("other.test", line.key_hash, line.signature)
        return note.format_note(note.Note(text, (other,)))

    return rekor2(shop, made)
