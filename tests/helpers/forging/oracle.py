# SPDX-License-Identifier: Apache-2.0
"""What our verifier says, and what sigstore-python says, of one bundle."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel
from verifying import proved

from forging.bundles import ARTIFACT
from forging.issuing import ALICE, ISSUER
from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.trust import fulcio
from modelseal.verification import subject

if TYPE_CHECKING:
    from forging.bundles import Case
    from modelseal.trust.trust_root import TrustRoot

DIGEST = hashlib.sha256(ARTIFACT).digest()


def ours(case: Case, *, subjects: bool = False) -> str:
    """Return the code with which we refuse, or nothing; anything but our errors is a failure.

    `subjects`: the statement must be about the artifact, as other clients' commands want it.
    """
    try:
        bundle = bundle_format.parse(case.data)
        is_artifact = isinstance(bundle.content, bundle_format.MessageSignature)
        if is_artifact != (case.what == "artifact"):
            return "another-content"
        proved(bundle, case.trust, ARTIFACT if is_artifact else None)
        if subjects and not isinstance(bundle.content, bundle_format.MessageSignature):
            subject.check_subject(bundle.content, ARTIFACT)
        who = fulcio.of_certificate(bundle.certificates[0])
    except ModelSealError as error:
        return error.code
    return "" if (who.subject, who.issuer) == (ALICE, ISSUER) else "another-signer"


def sigstore_python(case: Case) -> str:
    """Return what it raises, or nothing; it may crash, which is no yes."""
    policy = Identity(identity=ALICE, issuer=ISSUER)
    try:
        bundle = Bundle.from_json(case.data)
        if case.what == "artifact":
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=DIGEST)
            _verifier(case.trust).verify_artifact(hashed, bundle, policy)
        else:
            _verifier(case.trust).verify_dsse(bundle, policy)
    except Exception as error:  # noqa: BLE001 - see above
        return repr(error)
    return ""


@lru_cache(maxsize=64)
def _verifier(trust: TrustRoot) -> Verifier:
    return Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(trust.json)))
