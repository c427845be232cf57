# SPDX-License-Identifier: Apache-2.0
"""Why each case that must fail is refused, and where sigstore-go says otherwise."""

from __future__ import annotations

# Why each case that must fail is refused: for the reason that its name gives, and no other.
REASONS = {
    "authority-expired": """
        intoto-expired-certificate
    """,
    "bad-bundle": """
        bundle-v0.3-with-chain
        bundle-with-root-cert
    """,
    "bad-checkpoint": """
        rekor2-checkpoint-missing-origin
        rekor2-checkpoint-missing-root-hash
        rekor2-checkpoint-missing-size
    """,
    "bad-integer": """
        bundle-negative-log-index
    """,
    "certificate-expired": """
        integrated-time-in-future
        intoto-set-outside-signing-cert-validity
        intoto-tsa-timestamp-outside-cert-validity
        rekor2-multiple-timestamps-one-outside-cert-validity
        rekor2-timestamp-with-incorrect-time
    """,
    "checkpoint-mismatch": """
        checkpoint-bad-keyhint
        checkpoint-wrong-roothash
        invalid-checkpoint-signature
        rekor2-checkpoint-missing-log-signature
        rekor2-checkpoint-no-matching-signature
    """,
    "log-mismatch": """
        cve-2022-36056-swapped-tlog-entry
        dsse-mismatch-envelope
        dsse-mismatch-sig
        dsse-with-hashedrekord-mismatch-envelope
        dsse-with-hashedrekord-mismatch-sig
        incorrect-public-key
        intoto-log-entry-mismatch
        rekor2-dsse-mismatch-envelope
        rekor2-dsse-mismatch-sig
        wrong-hashedrekord-cert-and-sig
        wrong-hashedrekord-entry
    """,
    "media-type": """
        bundle-unknown-version
    """,
    "missing-member": """
        dsse-statement-missing-type
    """,
    "no-key-material": """
        bundle-empty-certificate-chain
    """,
    "no-trusted-time": """
        rekor2-no-timestamp
        rekor2-timestamp-outside-trust-root-tsa-validity
        rekor2-timestamp-outside-tsa-cert-validity
        rekor2-timestamp-payload-mismatch
        rekor2-timestamp-untrusted-tsa-with-embedded-cert
        rekor2-timestamp-untrusted-tsa-without-embedded-cert
        trust-root-tsa-validity-ended-before
    """,
    "not-base64": """
        bundle-invalid-base64-signature
    """,
    "not-by-key": """
        managed-key-for-certificate
    """,
    "not-json": """
        bundle-malformed-json
    """,
    "not-keyless": """
        managed-key-no-key
    """,
    "not-logged": """
        inclusion-proof-corrupted-hash
        intoto-missing-inclusion-proof
        invalid-inclusion-proof
        managed-key-without-log-entry
        rekor2-no-inclusion-proof
    """,
    "promise-invalid": """
        set-invalid-signature
    """,
    "sct-invalid": """
        invalid-ct-key
    """,
    "signature-count": """
        bundle-with-several-dsse-signatures
    """,
    "signature-invalid": """
        dsse-invalid-sig
        dsse-with-hashedrekord-invalid-sig
        managed-key-wrong-key
        message-digest-mismatch
        rekor2-dsse-invalid-sig
        signature-mismatch
        wrong-hashedrekord-artifact
        wrong-material
    """,
    "statement-type": """
        dsse-statement-unknown-type
    """,
    "subject-mismatch": """
        dsse-statement-of-another-subject
        dsse-statement-without-subjects
    """,
    "trust-root": """
        rekor2-timestamp-wrong-tsa-validity-borrow
        trust-root-tlog-missing-validity-start
    """,
    "unknown-member": """
        bundle-with-unknown-member
    """,
    "untrusted-certificate": """
        bundle-from-wrong-instance
    """,
    "whose": """
        managed-key-and-client-identity
    """,
}
REASON_OF = {f"{name}_fail": code for code, names in REASONS.items() for name in names.split()}


# Where sigstore-go 1.3.0 says otherwise: docs/verification.md, "Differences".
GO_DIFFERS = frozenset(
    [
        "bundle-with-root-cert_fail",
        "dsse-statement-missing-type_fail",
        "dsse-statement-unknown-type_fail",
        "dsse-with-hashedrekord-happy-path",
        "managed-key-and-client-identity_fail",
        "managed-key-and-trusted-root",
        "managed-key-of-p384-happy-path",
        "rekor2-dsse-in-dsse-entry-happy-path",
        "rekor2-multiple-timestamps-one-outside-cert-validity_fail",
        "trust-root-of-unknown-keys-too",
    ]
)
