# SPDX-License-Identifier: Apache-2.0
"""What a signed in-toto statement is that is no model signature, and what to do with it."""

from __future__ import annotations

from modelseal.errors import FormatError, shown

_ASK = "Ask the publisher for a signature of the model; your own are signed with: modelseal sign"
_OF_ONE = (
    "It can vouch for that file: cosign verify-blob-attestation --bundle BUNDLE --type TYPE FILE. "
    f"It does not make it a signed model. {_ASK}"
)

# How predicate types begin, and what such statements are.
_NAMES = (
    ("https://slsa.dev/provenance/", "provenance (how something was built)"),
    ("https://slsa.dev/verification_summary/", "a summary of what somebody else verified"),
    ("https://in-toto.io/attestation/release/", "a release attestation"),
    ("https://in-toto.io/attestation/vulns", "the result of a scan"),
    ("https://in-toto.io/attestation/test-result/", "the result of a test"),
    ("https://cyclonedx.org/", "a bill of materials"),
    ("https://spdx.dev/", "a bill of materials"),
    ("https://docs.pypi.org/attestations/", "an attestation of a Python package"),
    ("https://github.com/npm/attestation/", "an attestation of an npm package"),
    ("https://sigstore.dev/cosign/sign/", "a signature of a container image"),
    ("https://cosign.sigstore.dev/attestation/", "an attestation by cosign"),
    ("https://model_signing/", "a signature by a pre-release of model-signing"),
)


def refusal(code: str, predicate_type: str, subjects: int) -> FormatError:
    """Return the refusal, by `code`, of a statement about so many `subjects`."""
    name = next((name for start, name in _NAMES if predicate_type.startswith(start)), "a statement")
    kind = f"{name} of type '{shown(predicate_type, 100)}'"
    files = "one file" if subjects == 1 else f"{subjects} files"
    return FormatError(
        code,
        f"The bundle holds {kind} about {files}, not the signature of a model.",
        _OF_ONE if subjects == 1 else _ASK,
    )
