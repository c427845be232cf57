# SPDX-License-Identifier: Apache-2.0
"""Bends of log entries: what was logged, the proof, the promise, the checkpoint."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509

from forging import issuing, keys, logs
from forging.bending import (
    Bend,
    checkpoint,
    checkpoint_by,
    entry,
    entry_by,
    relogged,
)
from forging.issuing import LIFETIME
from forging.logs import Body, Log, b64, canonical, cosignature

if TYPE_CHECKING:
    from collections.abc import Callable


def spec_signature(body: Body) -> Body:
    """Return the part of a body that has the (first) signature."""
    spec = body["spec"]
    inner = spec.get("hashedRekordV002") or spec.get("dsseV002") or spec.get("content") or spec
    inner = inner.get("envelope", inner)
    return inner["signatures"][0] if "signatures" in inner else inner["signature"]


def spec_hash(body: Body) -> Body:
    spec = body["spec"]
    inner = spec.get("hashedRekordV002") or spec.get("dsseV002") or spec.get("content") or spec
    data = inner.get("payloadHash") or inner["data"]
    return data.get("hash", data)


def other_signature(body: Body) -> None:
    holder = spec_signature(body)
    name = next(one for one in ("content", "signature", "sig") if one in holder)
    holder[name] = b64(b"another signature") if name != "sig" else b64(b64(b"other").encode())


def other_key(body: Body) -> None:
    _set_key(body, issuing.Leaf().issue("mallory"))


def _set_key(body: Body, der: bytes, change: Callable[[bytes], bytes] = bytes) -> None:
    pem = x509.load_der_x509_certificate(der).public_bytes(issuing.Encoding.PEM)
    holder, text = spec_signature(body), b64(change(pem))
    if "publicKey" in holder:
        holder["publicKey"] = text if isinstance(holder["publicKey"], str) else {"content": text}
    elif isinstance(holder["verifier"], str):
        holder["verifier"] = text
    else:
        holder["verifier"]["x509Certificate"]["rawBytes"] = b64(der)


def key_spelled(change: Callable[[bytes], bytes]) -> Callable[[Body], None]:
    """Return what spells the certificate in a version 1 body in another way; others stay."""

    def respell(body: Body) -> None:
        holder = spec_signature(body)
        name = "publicKey" if "publicKey" in holder else "verifier"
        value = holder[name]
        if isinstance(value, str):
            holder[name] = b64(change(b64decode(value)))
        elif "content" in value:
            value["content"] = b64(change(b64decode(value["content"])))
        else:
            value["x509Certificate"]["rawBytes"] += ""

    return respell


def raw_key(body: Body) -> None:
    """Name the key instead of the certificate (version 2 only)."""
    holder = spec_signature(body)
    if isinstance(holder.get("verifier"), dict):
        raw = x509.load_der_x509_certificate(
            b64decode(holder["verifier"].pop("x509Certificate")["rawBytes"])
        ).public_key()
        der = raw.public_bytes(
            keys.serialization.Encoding.DER, keys.serialization.PublicFormat.SubjectPublicKeyInfo
        )
        holder["verifier"]["publicKey"] = {"rawBytes": b64(der)}
    else:
        other_key(body)


def other_digest(body: Body) -> None:
    data = spec_hash(body)
    if "value" in data:
        data["value"] = "11" * (len(data["value"]) // 2)
    else:
        data["digest"] = b64(b"\x11" * len(b64decode(data["digest"])))


def other_hash(body: Body) -> None:
    data = spec_hash(body)
    data["algorithm"] = "sha512" if data["algorithm"].islower() else "SHA2_512"


def capital_digest(body: Body) -> None:
    data = spec_hash(body)
    name = "value" if "value" in data else "digest"
    data[name] = data[name].upper()


def key_details(body: Body) -> None:
    holder = spec_signature(body)
    if isinstance(holder.get("verifier"), dict):
        holder["verifier"]["keyDetails"] = "PKIX_ED25519"
    else:
        other_key(body)


def second_signature(body: Body) -> None:
    spec = body["spec"]
    inner = spec.get("dsseV002") or spec.get("content", {}).get("envelope") or spec
    if "signatures" in inner:
        inner["signatures"] = inner["signatures"] * 2
    else:
        other_signature(body)


def indented(body: Body) -> bytes:
    return json.dumps(body, indent=2).encode()


def unsorted(body: Body) -> bytes:
    return json.dumps(dict(reversed(body.items()))).encode()


def doubled(body: Body) -> bytes:
    return canonical(body)[:-1] + b',"kind":"hashedrekord"}'


RELOGGED: dict[str, Bend] = {
    "another signature": relogged(other_signature),
    "another certificate": relogged(other_key),
    "certificate with text before it": relogged(key_spelled(lambda pem: b"certificate:\n" + pem)),
    "certificate with another behind it": relogged(key_spelled(lambda pem: pem * 2)),
    "certificate in long lines": relogged(
        key_spelled(lambda pem: pem.replace(b"\n", b"\r\n"))
    ),
    "certificate without its last line break": relogged(key_spelled(lambda pem: pem[:-1])),
    "certificate cut short": relogged(key_spelled(lambda pem: pem[:90])),
    "key in place of the certificate": relogged(raw_key),
    "another digest": relogged(other_digest),
    "digest of another hash": relogged(other_hash),
    "digest in capitals": relogged(capital_digest),
    "details of another key": relogged(key_details),
    "two signatures": relogged(second_signature),
    "unknown member": relogged(lambda body: body.update(extra=1)),
    "unknown member in the spec": relogged(lambda body: body["spec"].update(extra=1)),
    "unknown member in the signature": relogged(
        lambda body: spec_signature(body).update(extra="x")
    ),
    "no version": relogged(lambda body: body.pop("apiVersion")),
    "another version": relogged(lambda body: body.update(apiVersion="0.0.9")),
    "another kind": relogged(lambda body: body.update(kind="rekord")),
    "no spec": relogged(lambda body: body.update(spec={})),
    "void spec": relogged(lambda body: body.update(spec=None)),
    "kind in capitals": relogged(lambda body: body.update(kind=body["kind"].upper())),
    "body indented": entry(spelled=indented),
    "body in another order": entry(spelled=unsorted),
    "a member twice": entry(spelled=doubled),
    "body in ASCII escapes": entry(
        spelled=lambda body: canonical(body).replace(b'"kind"', b'"\\u006bind"')
    ),
    "body with a byte order mark": entry(spelled=lambda body: b"\xef\xbb\xbf" + canonical(body)),
    "body with a space behind": entry(spelled=lambda body: canonical(body) + b" "),
    "body that is no JSON": entry(spelled=lambda _: b"\0\1\2"),
    "body that is a list": entry(spelled=lambda body: canonical([body])),
    "empty body": entry(spelled=lambda _: b""),
    "body nested deeply": entry(spelled=lambda _: b"[" * 5000 + b"]" * 5000),
}  # fmt: skip


def _other_log(log: Log) -> Log:
    return Log("v2" if log.name != "v2" else "v2-p256")


PROOFS: dict[str, Bend] = {
    "first leaf": entry(before=0),
    "last leaf": entry(before=logs.SIZE - 1),
    "only leaf": entry(before=0, size=1),
    "index of another entry": entry(index=3),
    "id of another log": entry_by(lambda e: {"said_id": _other_log(e.log).log_id}),
    "id of a stranger": entry_by(lambda e: {"said_id": logs.stranger(e).log_id}),
    "id cut to four bytes": entry_by(lambda e: {"said_id": e.log.log_id[:4]}),
    "id with another tail": entry_by(lambda e: {"said_id": e.log.log_id[:4] + b"\0" * 28}),
    "a stranger's log": entry_by(lambda e: {"log": logs.stranger(e)}),
    "a stranger's log under a log's id": entry_by(
        lambda e: {"log": logs.stranger(e), "said_id": e.log.log_id}
    ),
    "kind of another": entry(said_kind=("hashedrekord", "0.0.3")),
    "kind of the other version": entry_by(
        lambda e: {"said_kind": (e.kind, {"0.0.1": "0.0.2", "0.0.2": "0.0.1"}[e.version])}
    ),
    "kind rekord": entry_by(lambda e: {"said_kind": ("rekord", e.version)}),
    "promise": entry(promise=True, time=5),
    "promise and no time": entry(promise=True, time=None),
    "time and no promise": entry(promise=False, time=5),
    "no promise, no time": entry(promise=False, time=None),
    "promise by a stranger": entry_by(
        lambda e: {"promise": True, "time": 5, "promise_by": logs.stranger(e)}
    ),
    "promise by another log": entry_by(
        lambda e: {"promise": True, "time": 5, "promise_by": _other_log(e.log)}
    ),
    "promise for another time": entry(
        promise=True, time=5, promised=lambda said: said.update(integratedTime=9)
    ),
    "promise for another index": entry(
        promise=True, time=5, promised=lambda said: said.update(logIndex=9)
    ),
    "promise for another body": entry(
        promise=True, time=5, promised=lambda said: said.update(body="")
    ),
    "promise for another log": entry(
        promise=True, time=5, promised=lambda said: said.update(logID="00")
    ),
    "promise after the certificate": entry(promise=True, time=LIFETIME + 1),
    "promise at the end of the certificate": entry(promise=True, time=LIFETIME),
    "promise before the certificate": entry(promise=True, time=-1),
    "promise at the start of the certificate": entry(promise=True, time=0),
    "unsigned time after the certificate": entry(promise=False, time=LIFETIME + 1),
}  # fmt: skip

CHECKPOINTS: dict[str, Bend] = {
    "by a stranger": checkpoint_by(lambda log: {"log": replace(log, owner="attacker")}),
    "by a stranger under the log's hint": checkpoint_by(
        lambda log: {"log": replace(log, owner="attacker"), "key_hash": log.log_id[:4]}
    ),
    "by another log": checkpoint_by(lambda log: {"log": _other_log(log)}),
    "by another log under the log's hint": checkpoint_by(
        lambda log: {"log": _other_log(log), "key_hash": log.log_id[:4]}
    ),
    "hint of nobody": checkpoint(key_hash=b"\0\0\0\0"),
    "origin of another": checkpoint(origin="other.test"),
    "origin with a tree": checkpoint(origin="other.test - 9"),
    "origin with a port": checkpoint_by(
        lambda log: {"origin": logs.LOGS[log.name][1] + ":443"}
    ),
    "no origin": checkpoint(origin=""),
    "name of another": checkpoint(name="other.test"),
    "size of another": checkpoint(size="10"),
    "size in another spelling": checkpoint(size="09"),
    "size with a sign": checkpoint(size="+9"),
    "size with a space": checkpoint(size=" 9"),
    "size of many digits": checkpoint(size="9" * 40),
    "root of another": checkpoint(root=b"\1" * 32),
    "root cut short": checkpoint(root=b"\1" * 31),
    "extension lines": checkpoint(extensions="Timestamp: 1679349379012118479\nmore\n"),
    "empty extension line": checkpoint(extensions="\n"),
    "carriage return": checkpoint(extensions="more\r\n"),
    "another text signed": checkpoint(signed_as="other\n"),
    "a witness before": checkpoint(before=(cosignature("witness.test/w"),)),
    "a witness after": checkpoint(after=(cosignature("witness.test/w"),)),
    "many witnesses": checkpoint(
        after=tuple(cosignature(f"witness.test/w{number}") for number in range(20))
    ),
    "a witness with the log's hint before": checkpoint_by(
        lambda log: {"before": (cosignature(logs.LOGS[log.name][1], log.log_id[:4]),)}
    ),
    "a witness that is cut short": checkpoint(after=("\u2014 w AAAA\n",)),
    "a witness that is not base64": checkpoint(after=("\u2014 w !\n",)),
    "a line that is no signature": checkpoint(after=("hello\n",)),
    "a hyphen for the dash": checkpoint(line="- {name} {blob}\n"),
    "a space more": checkpoint(line="\u2014 {name}  {blob}\n"),
    "no line break at the end": checkpoint(line="\u2014 {name} {blob}"),
    "blank line behind": checkpoint(after=("\n",)),
}  # fmt: skip
