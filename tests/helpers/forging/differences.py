# SPDX-License-Identifier: Apache-2.0
"""What we and another verifier may differ in: what it is, and which bends show it.

The keys are the words of docs/verification.md ("Differences"), where the reason stands. The values
are bends, and the codes with which we refuse; "" is where we accept what the other refuses.
"""

from __future__ import annotations

Table = dict[str, dict[str, str]]
_BOTH = " & "  # two bends that make a difference together

SIGSTORE_PYTHON: Table = {
    "a certificate with two names for its owner": {
        "certificate: two subjects": "bad-certificate",
        "certificate: one subject twice": "bad-certificate",
        "certificate: directory name beside": "bad-certificate",
    },
    "a certificate whose two issuers differ, by the first one": {
        "certificate: second issuer another": "another-signer",
    },
    "an SCT under the id of no CT log, or that names another algorithm than its log has": {
        "sct: SCT under an unknown id": "sct-invalid",
        "sct: SCT said to be by RSA": "sct-invalid",
        "sct: SCT by an attacker under a log's id & root: CT logs of a stranger": "sct-invalid",
    },
    "a SET, a CT log, a CA outside its period of trust": {
        "sct: SCT before its log": "sct-invalid",
        "sct: SCT at the beginning of time": "sct-invalid",
        "root: ctlogs ends before": "sct-invalid",
        "root: ctlogs begins at the timestamp": "sct-invalid",
        "root: ctlogs begins after": "sct-invalid",
        "root: tlogs ends before": "log-expired",
        "root: tlogs begins after": "log-expired",
        "root: certificateAuthorities ends at the timestamp": "authority-expired",
        "root: certificateAuthorities ends before": "authority-expired",
        "root: certificateAuthorities begins after": "authority-expired",
    },
    "a body of a version 1 log with members that are not known, missing or of another version": {
        "body: unknown member": "unknown-member",
        "body: unknown member in the spec": "unknown-member",
        "body: unknown member in the signature": "unknown-member",
        "body: no version": "missing-member",
        "body: another version": "unsupported-entry",
    },
    "a member twice in one object": {
        "body: a member twice": "duplicate-member",
    },
    "a version 2 entry whose index is not that of its proof": {
        "proof: index of another entry": "not-logged",
    },
    "an entry whose log id differs after the first four bytes": {
        "proof: id cut to four bytes": "unknown-log",
        "proof: id with another tail": "unknown-log",
    },
    "a promise (SET) without the time that it is about": {
        "proof: promise and no time": "promise-invalid",
    },
    "an unsigned integrated time outside the certificate's validity": {
        "proof: unsigned time after the certificate": "certificate-expired",
    },
    "a checkpoint of another origin, another size, or not of the form": {
        "checkpoint: by another log under the log's hint": "checkpoint-mismatch",
        "checkpoint: origin of another": "checkpoint-mismatch",
        "checkpoint: origin with a tree": "checkpoint-mismatch",
        "checkpoint: origin with a port": "checkpoint-mismatch",
        "checkpoint: name of another": "checkpoint-mismatch",
        "checkpoint: size of another": "checkpoint-mismatch",
        "checkpoint: size in another spelling": "bad-checkpoint",
        "checkpoint: size with a sign": "bad-checkpoint",
        "checkpoint: size with a space": "bad-checkpoint",
        "checkpoint: size of many digits": "bad-checkpoint",
        "checkpoint: carriage return": "bad-note",
        "checkpoint: a line that is no signature": "bad-note",
        "root: log of another host": "checkpoint-mismatch",
        "root: log without host": "checkpoint-mismatch",
    },
    "a timestamp that names a trusted authority and is not good, beside a promise that is": {
        "timestamp: by a stranger": "no-trusted-time",
        "timestamp: by a stranger, with the signer's certificate": "no-trusted-time",
        "timestamp: over other bytes": "no-trusted-time",
        "timestamp: over nothing": "no-trusted-time",
        "timestamp: over SHA-1": "bad-timestamp",
        "timestamp: over SHA-512/256": "bad-timestamp",
        "timestamp: over one hash, said to be another": "bad-timestamp",
        "timestamp: certificate of a stranger": "no-trusted-time",
        "timestamp: status granted with modifications": "bad-timestamp",
        "timestamp: status rejected": "bad-timestamp",
        "timestamp: status waiting": "bad-timestamp",
        "timestamp: no message digest": "bad-timestamp",
        "timestamp: digest of other content": "no-trusted-time",
        "timestamp: two signers": "bad-timestamp",
        "timestamp: by P-384": "no-trusted-time",
        "timestamp: before the authority's certificate": "no-trusted-time",
        "timestamp: one more, by a stranger": "no-trusted-time",
        "timestamp: one more, over other bytes": "no-trusted-time",
        "timestamp: purpose not critical": "no-trusted-time",
        "timestamp: purpose not timestamps": "no-trusted-time",
        "root: timestampAuthorities ends before": "no-trusted-time",
        "root: timestampAuthorities begins after": "no-trusted-time",
        "root: TSA of a stranger": "no-trusted-time",
        "root: timestampAuthorities ends at the timestamp": "no-trusted-time",
        (
            "timestamp: one more, after the certificate & root: TSA without its signer"
        ): "certificate-expired",
    },
    "a timestamp without signed attributes, or without its content type among them": {
        "timestamp: no attributes": "bad-timestamp",
        "timestamp: no content type": "bad-timestamp",
    },
    "a trusted root with a log whose key is of another curve than it says": {
        "root: details of another curve": "trust-root",
    },
    "a digest noted under another algorithm than its own": {
        "content: digest over SHA-384": "signature-invalid",
    },
    "several SCTs of which one is good": {
        "sct: two SCTs": "",
        "sct: one SCT twice": "",
        "sct: a bad SCT before a good one": "",
        "sct: a bad SCT after a good one": "",
    },
    "a name of the kind OtherName": {
        "certificate: other name": "",
    },
    "a certificate without the first issuer, or whose two issuers differ, by the second one": {
        "certificate: no first issuer": "",
        "certificate: first issuer another": "",
    },
    "a timestamp with a negative nonce": {
        "timestamp: negative nonce": "",
    },
    "timestamps beside a promise that is good, where the trusted root names no authority": {
        "root: timestampAuthorities missing": "",
        "root: timestampAuthorities empty": "",
    },
    "a certificate in a version 1 body in lines of another length": {
        "body: certificate in long lines": "",
    },
    "a certificate in a version 1 body without the line break at its end": {
        "body: certificate without its last line break": "",
    },
    "a payload type with letters beyond ASCII": {
        "content: payload type of other letters, signed": "",
    },
    "a timestamp at the last instant of its authority's period": {
        "root: timestampAuthorities ends at the timestamp": "",
    },
    "a timestamp authority named by its root alone, its own certificate being in the timestamp": {
        "root: TSA without its signer": "",
    },
}


SIGSTORE_GO: Table = {
    "a timestamp that names a trusted authority and is not good, beside one that is": {
        "timestamp: by a stranger, with the signer's certificate": "no-trusted-time",
        "timestamp: one more, by a stranger": "no-trusted-time",
        "timestamp: one more, over other bytes": "no-trusted-time",
        "timestamp: purpose not critical": "no-trusted-time",
    },
    "an entry of a version 2 log outside the period in which the log is trusted": {
        "root: tlogs ends before": "log-expired",
        "root: tlogs begins after": "log-expired",
    },
    "a certificate for something else than signing code, or that says so in a forbidden way": {
        "certificate: subject with a name, critical alternative": "untrusted-certificate",
        "certificate: no subject, alternative not critical": "untrusted-certificate",
        "certificate: no key usage": "certificate-usage",
        "certificate: other key usage": "certificate-usage",
        "certificate: key usage of a CA": "untrusted-certificate",
        "certificate: no purpose": "certificate-usage",
        "certificate: any purpose": "certificate-usage",
        "certificate: purpose critical": "untrusted-certificate",
        "certificate: no authority key": "untrusted-certificate",
        "certificate: is a CA": "untrusted-certificate",
        "certificate: name constraints in the leaf": "untrusted-certificate",
    },
    "a certificate with two names for its owner": {
        "certificate: two subjects": "bad-certificate",
        "certificate: one subject twice": "bad-certificate",
        "certificate: directory name beside": "bad-certificate",
    },
    "a timestamp outside the validity of the certificate or the CA, beside one that is within": {
        "certificate: valid until the timestamp": "certificate-expired",
        "timestamp: one more, after the certificate": "certificate-expired",
        "root: certificateAuthorities ends at the timestamp": "authority-expired",
    },
    "a body of a version 1 log in another spelling than the log gives it": {
        "body: certificate with text before it": "log-mismatch",
        "body: certificate with another behind it": "log-mismatch",
        "body: digest in capitals": "bad-digest",
        "body: two signatures": "log-mismatch",
        "body: unknown member": "unknown-member",
        "body: unknown member in the spec": "unknown-member",
        "body: unknown member in the signature": "unknown-member",
        "body: a member twice": "duplicate-member",
    },
    "an entry said to be of another kind or version than its body": {
        "proof: kind of another": "log-mismatch promise-invalid checkpoint-mismatch",
        "proof: kind of the other version": "log-mismatch promise-invalid checkpoint-mismatch",
        "proof: kind rekord": "log-mismatch promise-invalid checkpoint-mismatch",
    },
    "a proof with another root or size than its checkpoint, or another index than the entry": {
        "checkpoint: size of another": "checkpoint-mismatch",
    },
    "a checkpoint that is not of the form": {
        "checkpoint: size in another spelling": "bad-checkpoint",
        "checkpoint: empty extension line": "bad-checkpoint",
        "checkpoint: carriage return": "bad-note",
        "checkpoint: a space more": "not-base64",
        "checkpoint: origin with a tree": "checkpoint-mismatch",
    },
    "a timestamp that cannot be read beside one that can, or one twice": {
        "timestamp: content of another type": "bad-timestamp",
        "timestamp: over SHA-1": "bad-timestamp",
        "timestamp: over SHA-512/256": "bad-timestamp",
        "timestamp: over one hash, said to be another": "bad-timestamp",
        "timestamp: status granted with modifications": "bad-timestamp",
        "timestamp: status rejected": "bad-timestamp",
        "timestamp: status waiting": "bad-timestamp",
        "timestamp: no message digest": "bad-timestamp",
        "timestamp: two signers": "bad-timestamp",
        "timestamp: bytes behind": "bad-timestamp",
        "timestamp: one twice": "bad-timestamp",
    },
    "a timestamp without signed attributes, or without its content type among them": {
        "timestamp: no attributes": "bad-timestamp",
        "timestamp: no content type": "bad-timestamp",
    },
    "a trusted root with a log whose key is of another curve than it says": {
        "root: details of another curve": "trust-root",
    },
    "a trusted root without logs or authorities, by what else there is": {
        "root: tlogs missing": "unknown-log",
        "root: tlogs empty": "unknown-log",
    },
    "a bundle of version 0.1 without inclusion proof, by the log's promise alone": {
        "bundle: no proof": "not-logged",
    },
    "a body of a version 2 log that is not in canonical form": {
        "body: body indented": "",
        "body: body in another order": "",
        "body: body in ASCII escapes": "",
        "body: body with a space behind": "",
    },
    "a checkpoint of a version 1 log with signatures of witnesses": {
        "checkpoint: a witness before": "",
        "checkpoint: a witness after": "",
        "checkpoint: many witnesses": "",
    },
    "an envelope whose signature has a key id": {
        "content: key id": "",
    },
    "an artifact's bundle without the note of its digest": {
        "content: no note of the digest": "",
    },
}


def listed(table: Table) -> set[str]:
    """Return the bends that make a difference by themselves."""
    return {name for bends in table.values() for name in bends if _BOTH not in name}


def allowed(table: Table, names: tuple[str, ...]) -> set[str]:
    """Return the codes with which a bundle bent in all these ways may differ."""
    found = [
        code
        for bends in table.values()
        for name, code in bends.items()
        if set(name.split(_BOTH)) <= set(names)
    ]
    return {word for code in found for word in (code.split() or [""])}
