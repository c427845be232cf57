# SPDX-License-Identifier: Apache-2.0
"""Every way to make a bundle wrong (or odd) before it is signed, by name.

A bend says who could do it: `attacker` signs with keys of his own and logs whatever he likes in the
honest log; `careless` CAs, logs and authorities sign what they should not; `root` is the operator's
mistake. Each is a function from what is to be made to what is made.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from forging import bundles, issuing, keys, logs
from forging.bundles import Made
from forging.issuing import ALICE, ISSUER, LIFETIME, Sct
from forging.logs import Body, Log, b64, canonical, cosignature

Bend = Callable[[Made], Made]
RSA_SHA256 = b"\x04\x01"
SHA512_ECDSA = b"\x06\x03"


def leaf(**changes: Any) -> Bend:
    return lambda made: replace(made, leaf=replace(made.leaf, **changes))


def sct(*items: Sct) -> Bend:
    return leaf(scts=items)


def entry(**changes: Any) -> Bend:
    return lambda made: replace(made, entry=replace(made.entry, **changes))


def entry_by(change: Callable[[logs.Entry], dict[str, Any]]) -> Bend:
    return lambda made: replace(made, entry=replace(made.entry, **change(made.entry)))


def checkpoint(**changes: Any) -> Bend:
    return lambda made: replace(
        made,
        entry=replace(made.entry, checkpoint=replace(made.entry.checkpoint, **changes)),
    )


def checkpoint_by(change: Callable[[Log], dict[str, Any]]) -> Bend:
    return lambda made: checkpoint(**change(made.entry.log))(made)


def stamp(**changes: Any) -> Bend:
    """Change the first timestamp; add one where there is none."""
    return lambda made: replace(
        made,
        stamps=(replace((*made.stamps, bundles.Stamp())[0], **changes), *made.stamps[1:]),
    )


def more_stamps(*added: bundles.Stamp) -> Bend:
    return lambda made: replace(made, stamps=(*made.stamps, *added))


def made_with(**changes: Any) -> Bend:
    return lambda made: replace(made, **changes)


def root(change: Callable[[Body], Any]) -> Bend:
    return lambda made: replace(made, root=(*made.root, change))


def written(change: Callable[[Body], Any]) -> Bend:
    return lambda made: replace(made, bundle=(*made.bundle, change))


def relogged(change: Callable[[Body], Any]) -> Bend:
    """Log another body than the honest one, with a proof and a promise of its own."""
    return entry_by(lambda e: {"changes": (*e.changes, change)})


# -- certificates ---------------------------------------------------------------------------------

URI = x509.UniformResourceIdentifier("https://example.com/w")
BOB = x509.RFC822Name("bob@example.com")
OTHER = x509.OtherName(x509.ObjectIdentifier(issuing.ARC + "7"), core.UTF8String(ALICE).dump())
CONSTRAINTS = "2.5.29.30"
FORBIDDEN = x509.NameConstraints(None, [x509.RFC822Name("example.com")]).public_bytes()
UTF8_BOB = core.UTF8String("https://other.example").dump()

ATTACKER: dict[str, Bend] = {
    "certificate of an attacker's CA of the same name": leaf(ca="attacker"),
    "certificate signed by itself": leaf(ca="self"),
    "certificate of another key": made_with(signer="mallory"),
    "signature by another key": made_with(owner="mallory"),
    "signature of another message": made_with(signed=lambda message: message + b"x"),
    "signature with a byte more": made_with(spoiled=lambda signature: signature + b"\0"),
    "signature in BER": made_with(spoiled=lambda s: b"\x30\x81" + s[1:]),
    "signature of zeros": made_with(spoiled=lambda _: bytes.fromhex("3006020100020100")),
    "signature without sign bytes": made_with(
        spoiled=lambda s: b"\x30" + bytes([len(s) - 1]) + b"\x02\x21\0" + s[4:]
    ),
    "no signature": made_with(spoiled=lambda _: b""),
    "artifact of another": made_with(artifact=b"other weights"),
}  # fmt: skip

CARELESS_CA: dict[str, Bend] = {
    "valid until the timestamp": leaf(end=5),
    "valid until a second before": leaf(end=4),
    "valid from the timestamp": leaf(start=5),
    "valid from a second after": leaf(start=6),
    "never valid": leaf(start=6, end=6),
    "valid for ten years": leaf(end=3600 * 24 * 3650),
    "subject with a name": leaf(subject="alice", san_critical=False),
    "subject with a name, critical alternative": leaf(subject="alice"),
    "no subject, alternative not critical": leaf(san_critical=False),
    "no alternative name": leaf(sans=None),
    "URI": leaf(sans=(URI,)),
    "other name": leaf(sans=(OTHER,)),
    "DNS name": leaf(sans=(x509.DNSName("example.com"),)),
    "two subjects": leaf(sans=(x509.RFC822Name(ALICE), BOB)),
    "one subject twice": leaf(sans=(x509.RFC822Name(ALICE),) * 2),
    "subject of another": leaf(sans=(BOB,)),
    "subject in capitals": leaf(sans=(x509.RFC822Name("Alice@example.com"),)),
    "directory name beside": leaf(
        sans=(x509.RFC822Name(ALICE), x509.DirectoryName(issuing.name("x")))
    ),
    "no key usage": leaf(uses=None),
    "other key usage": leaf(uses=("key_encipherment",)),
    "more key usage": leaf(uses=("digital_signature", "content_commitment")),
    "key usage of a CA": leaf(uses=("digital_signature", "key_cert_sign")),
    "key usage not critical": leaf(uses_critical=False),
    "no purpose": leaf(purposes=None),
    "any purpose": leaf(purposes=(Eku.ANY_EXTENDED_KEY_USAGE,)),
    "other purpose": leaf(purposes=(Eku.SERVER_AUTH,)),
    "purpose of timestamps": leaf(purposes=(Eku.TIME_STAMPING,)),
    "two purposes": leaf(purposes=(Eku.CLIENT_AUTH, Eku.CODE_SIGNING)),
    "purpose critical": leaf(purposes_critical=True),
    "no authority key": leaf(aki=None),
    "authority key of another": leaf(aki="other"),
    "is a CA": leaf(is_ca=True),
    "says it is no CA": leaf(is_ca=False),
    "no first issuer": leaf(issuer_v1=None),
    "no second issuer": leaf(issuer_v2=None),
    "no issuer": leaf(issuer_v1=None, issuer_v2=None),
    "first issuer another": leaf(issuer_v1=b"https://other.example"),
    "second issuer another": leaf(issuer_v2=UTF8_BOB),
    "only second issuer, in raw": leaf(issuer_v1=None, issuer_v2=ISSUER.encode()),
    "issuer of another name": leaf(issuer="someone"),
    "issued by the root": leaf(directly=True),
    "unknown extension": leaf(extra=(("1.2.3.4", b"\x05\0", False),)),
    "unknown critical extension": leaf(extra=(("1.2.3.4", b"\x05\0", True),)),
    "poison": leaf(extra=(("1.3.6.1.4.1.11129.2.4.3", b"\x05\0", True),)),
    "name constraints in the leaf": leaf(extra=((CONSTRAINTS, FORBIDDEN, True),)),
    "extension that is not DER": leaf(extra=(("2.5.29.31", b"\xff\xff", False),)),
    "serial number of zero bits": leaf(serial=1),
    "signed over SHA-384": leaf(algorithm="sha384"),
    "CA for servers only": leaf(ca="servers"),
}  # fmt: skip

SCTS: dict[str, Bend] = {
    "no SCT": leaf(scts=None),
    "no SCT in the list": sct(),
    "SCT by an attacker's log": sct(Sct("attacker")),
    "SCT by an attacker under a log's id": sct(
        Sct("attacker", said_id=logs.sha256(keys.spki(keys.key("P256", "honest ct"))).digest())
    ),
    "SCT under the id of another log": sct(
        Sct(said_id=logs.sha256(keys.spki(keys.key("P256", "second ct"))).digest())
    ),
    "SCT under an unknown id": sct(Sct(said_id=b"\0" * 32)),
    "SCT by the second log": sct(Sct("second")),
    "SCT with extensions": sct(Sct(extensions=b"\0\0\5" + b"12345")),
    "SCT with long extensions": sct(Sct(extensions=b"x" * 900)),
    "SCT at another time": sct(Sct(at=-3600)),
    "SCT between milliseconds": sct(Sct(at=0.7531)),
    "SCT before its log": sct(Sct(at=-86400 * 2)),
    "SCT in the future": sct(Sct(at=86400 * 365)),
    "SCT at the beginning of time": sct(Sct(at=-issuing.T0.timestamp())),
    "SCT for another issuer": sct(Sct(issuer="attacker")),
    "SCT over another certificate": sct(Sct(over=b"another")),
    "SCT said to be over SHA-512": sct(Sct(algorithms=SHA512_ECDSA)),
    "SCT said to be by RSA": sct(Sct(algorithms=RSA_SHA256)),
    "SCT of version 2": sct(Sct(version=b"\1")),
    "SCT with a byte more": sct(Sct(tail=b"\0")),
    "two SCTs": sct(Sct(), Sct("second")),
    "one SCT twice": sct(Sct(), Sct()),
    "a bad SCT before a good one": sct(Sct("attacker"), Sct()),
    "a bad SCT after a good one": sct(Sct(), Sct(over=b"another")),
    "two bad SCTs": sct(Sct("attacker"), Sct(over=b"another")),
    "SCTs before other extensions": leaf(scts_first=True),
}  # fmt: skip

# -- the log --------------------------------------------------------------------------------------


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

# -- timestamps -----------------------------------------------------------------------------------

Stamp = bundles.Stamp
TIMESTAMPS: dict[str, Bend] = {
    "by a stranger": stamp(tsa="attacker"),
    "by a stranger, with the signer's certificate": stamp(
        tsa="attacker", certificates=("signer", "root")
    ),
    "by the second authority": stamp(tsa="second"),
    "over other bytes": stamp(over=b"other"),
    "over nothing": stamp(over=b""),
    "over SHA-384": stamp(algorithm="sha384"),
    "over SHA-512": stamp(algorithm="sha512"),
    "over SHA-1": stamp(algorithm="sha1"),
    "over SHA-512/256": stamp(algorithm="sha512_256"),
    "over one hash, said to be another": stamp(algorithm="sha256", said_hash="sha3_256"),
    "no certificate": stamp(certificates=()),
    "certificate of a stranger": stamp(certificates=("stranger",)),
    "certificate twice": stamp(certificates=("signer", "signer")),
    "certificate and root": stamp(certificates=("signer", "root")),
    "certificate and one that bears its number": stamp(certificates=("signer", "stranger")),
    "nonce": stamp(nonce=12345),
    "long nonce": stamp(nonce=1 << 300),
    "negative nonce": stamp(nonce=-1),
    "accuracy": stamp(accuracy=1),
    "accuracy of a day": stamp(accuracy=86400),
    "ordering": stamp(ordering=True),
    "another policy": stamp(policy="1.2.3"),
    "status granted with modifications": stamp(status="granted_with_mods"),
    "status rejected": stamp(status="rejection"),
    "status waiting": stamp(status="waiting"),
    "no signing certificate attribute": stamp(attributes=("content_type", "message_digest")),
    "signing time": stamp(attributes=("content_type", "message_digest", "signing_time")),
    "no content type": stamp(attributes=("message_digest", "signing_certificate_v2")),
    "no message digest": stamp(attributes=("content_type", "signing_certificate_v2")),
    "no attributes": stamp(attributes=()),
    "digest of other content": stamp(digest_of=b"other"),
    "content of another type": stamp(content_type="data"),
    "bytes behind": stamp(tail=b"\0"),
    "two signers": stamp(twice=True),
    "by P-384": stamp(kind="P384"),
    "at the start of the certificate": stamp(at=0),
    "a second before the certificate": stamp(at=-1),
    "at the end of the certificate": stamp(at=LIFETIME),
    "a second after the certificate": stamp(at=LIFETIME + 1),
    "before the authority's certificate": stamp(at=-86400 * 301),
    "one more, by a stranger": more_stamps(Stamp("attacker")),
    "one more, over other bytes": more_stamps(Stamp("second", over=b"other")),
    "one more, after the certificate": more_stamps(Stamp("second", at=LIFETIME + 1)),
    "one more, good": more_stamps(Stamp("second", at=8)),
    "one twice": lambda made: more_stamps(*(made.stamps or (Stamp(), Stamp()))[:1])(made),
    "33 in all": lambda made: more_stamps(
        *(Stamp(nonce=number) for number in range(33 - len(made.stamps)))
    )(made),
    "32 in all": lambda made: more_stamps(
        *(Stamp(nonce=number) for number in range(32 - len(made.stamps)))
    )(made),
    "none": lambda made: replace(made, stamps=()),
    "purpose not critical": stamp(shape=(("critical", False),), tsa="uncritical"),
    "purpose not timestamps": stamp(tsa="signer"),
}  # fmt: skip

# -- what was signed ------------------------------------------------------------------------------


def envelope(change: Callable[[Body], Any]) -> Bend:
    """Change an envelope after it was signed; an artifact has none, and loses its signature."""
    return written(
        lambda made: (
            change(made["dsseEnvelope"]) if "dsseEnvelope" in made else made.pop("messageSignature")
        )
    )


CONTENT: dict[str, Bend] = {
    "another payload, signed": made_with(payload=bundles.PAYLOAD.replace(b"{}", b'{"a": 1}')),
    "empty payload, signed": made_with(payload=b""),
    "payload that is no statement, signed": made_with(payload=b"hello"),
    "another payload type, signed": made_with(payload_type="text/plain"),
    "empty payload type, signed": made_with(payload_type=""),
    "payload type of other letters, signed": made_with(payload_type="tëxt/plain"),
    "another payload, not signed": envelope(lambda e: e.update(payload=b64(b"other"))),
    "another payload type, not signed": envelope(lambda e: e.update(payloadType="text/plain")),
    "half a character as payload type": envelope(lambda e: e.update(payloadType="\ud800")),
    "payload with its own length": envelope(
        lambda e: e.update(payloadType="a 3 abc 5", payload=b64(b"hello"))
    ),
    "signature twice": envelope(lambda e: e.update(signatures=e["signatures"] * 2)),
    "no signatures": envelope(lambda e: e.update(signatures=[])),
    "key id": envelope(lambda e: e["signatures"][0].update(keyid="any")),
    "no note of the digest": written(
        lambda made: made.get("messageSignature", {}).pop("messageDigest", None)
    ),
    "digest over SHA-384": written(
        lambda made: (
            made.get("messageSignature", {}).get("messageDigest", {}).update(algorithm="SHA2_384")
        )
    ),
    "signed over SHA-512": made_with(algorithm="sha512"),
}

# -- the trusted root -----------------------------------------------------------------------------


def _each(name: str, change: Callable[[Body], Any]) -> Bend:
    return root(lambda made: [change(item) for item in made[name]])


def _period(name: str, **period: float) -> Bend:
    return _each(
        name,
        lambda item: item.get("publicKey", item).update(validFor=bundles.period(**period)),
    )


def _others(name: str, *items: Body) -> Bend:
    return root(lambda made: made.update({name: [*items, *made[name]]}))


_LISTS = ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
ROOT: dict[str, Bend] = {
    **{f"{name} missing": root(lambda made, n=name: made.pop(n)) for name in _LISTS},
    **{f"{name} empty": root(lambda made, n=name: made.update({n: []})) for name in _LISTS},
    **{
        f"{name} twice": root(lambda made, n=name: made.update({n: made[n] * 2})) for name in _LISTS
    },
    **{f"{name} ends at the timestamp": _period(name, end=5) for name in _LISTS},
    **{f"{name} ends before": _period(name, end=-1) for name in _LISTS},
    **{f"{name} begins at the timestamp": _period(name, start=5) for name in _LISTS},
    **{f"{name} begins after": _period(name, start=7) for name in _LISTS},
    "keys of logs swapped": root(
        lambda made: made["tlogs"][0].update(publicKey=made["tlogs"][2]["publicKey"])
    ),
    "keys of all logs are one": _each(
        "tlogs", lambda item: item.update(bundles.log_key(Log("v1", "x"), "https://x.test"))
    ),
    "log of a stranger": _each(
        "tlogs", lambda item: item["publicKey"].update(
            rawBytes=b64(keys.spki(keys.key("P256", "nobody"))),
            keyDetails=keys.DETAILS["P256"],
        )
    ),
    "details of another key": _each(
        "tlogs", lambda item: item["publicKey"].update(keyDetails=keys.DETAILS["P384"])
    ),
    "details of another curve": root(
        lambda made: [
            item["publicKey"].update(keyDetails=keys.DETAILS["P384"])
            for item in made["tlogs"]
            if item["publicKey"]["keyDetails"] == keys.DETAILS["P256"]
        ]
    ),
    "details unknown": _each(
        "tlogs", lambda item: item["publicKey"].update(keyDetails="ML_DSA_65")
    ),
    "CT logs of a stranger": root(
        lambda made: made.update(ctlogs=[bundles.ct_key("attacker")])
    ),
    "CA of a stranger": root(
        lambda made: made.update(certificateAuthorities=[bundles.authority("attacker", "ca")])
    ),
    "CA of a stranger first": _others(
        "certificateAuthorities", bundles.authority("attacker", "ca")
    ),
    "TSA of a stranger": root(
        lambda made: made.update(timestampAuthorities=[bundles.authority("attacker", "tsa")])
    ),
    "TSA of a stranger first": _others(
        "timestampAuthorities", bundles.authority("attacker", "tsa")
    ),
    "CA and TSA swapped": root(
        lambda made: made.update(
            certificateAuthorities=made["timestampAuthorities"],
            timestampAuthorities=made["certificateAuthorities"],
        )
    ),
    "CA without its intermediate": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].pop(0)
    ),
    "CA without its root": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].pop()
    ),
    "CA in another order": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].reverse()
    ),
    "TSA without its root": _each(
        "timestampAuthorities", lambda item: item["certChain"]["certificates"].pop()
    ),
    "TSA without its signer": _each(
        "timestampAuthorities", lambda item: item["certChain"]["certificates"].pop(0)
    ),
    "log of another host": _each(
        "tlogs", lambda item: item.update(baseUrl="https://elsewhere.test")
    ),
    "log without host": _each("tlogs", lambda item: item.update(baseUrl="")),
    "log with a port and a path": _each(
        "tlogs", lambda item: item.update(baseUrl=item["baseUrl"] + ":444/x")
    ),
}  # fmt: skip

WRITTEN: dict[str, Bend] = {
    "unknown member": written(lambda made: made.update(extra=1)),
    "version 0.1": made_with(media="0.1"),
    "version 0.2": made_with(media="0.2"),
    "version 0.3, the old name": made_with(media="0.3 old"),
    "version 0.4": written(
        lambda made: made.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json")
    ),
    "no entry": written(lambda made: made["verificationMaterial"].update(tlogEntries=[])),
    "two entries": written(
        lambda made: made["verificationMaterial"].update(
            tlogEntries=made["verificationMaterial"]["tlogEntries"] * 2
        )
    ),
    "no proof": written(
        lambda made: made["verificationMaterial"]["tlogEntries"][0].pop("inclusionProof")
    ),
    "no checkpoint": written(
        lambda made: made["verificationMaterial"]["tlogEntries"][0]["inclusionProof"].pop(
            "checkpoint"
        )
    ),
    "a key beside the certificate": written(
        lambda made: made["verificationMaterial"].update(publicKey={"hint": "x"})
    ),
}

GROUPS: dict[str, dict[str, Bend]] = {
    "attacker": ATTACKER, "certificate": CARELESS_CA, "sct": SCTS, "body": RELOGGED,
    "proof": PROOFS, "checkpoint": CHECKPOINTS, "timestamp": TIMESTAMPS, "content": CONTENT,
    "root": ROOT, "bundle": WRITTEN,
}  # fmt: skip
# rfc3161-client looks for the signer in a set: the verdict of sigstore-python is by chance.
UNSTEADY = {"timestamp: certificate and one that bears its number"}
BENDS = {
    f"{group}: {name}": bend for group, found in GROUPS.items() for name, bend in found.items()
}
