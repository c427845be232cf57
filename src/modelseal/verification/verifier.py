# SPDX-License-Identifier: Apache-2.0
"""From a bundle to who signed which files when: one order of checks for every kind of signer.

Source: sigstore/architecture-docs, client-spec.md, section "Verification". The order is that of
docs/verification.md. Signers differ in how their key becomes trusted (`vouching`); log, times and
content are checked by the same code for all of them.
"""

from __future__ import annotations

from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from modelseal.errors import FormatError, ModelSealError, Unverified, UsageError
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse
from modelseal.verification import vouching
from modelseal.verification.authentic import Authentic, Logged
from modelseal.verification.checks import content
from modelseal.verification.checks.content import LoggedBy
from modelseal.verification.claim import claimed, claimed_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelseal.formats.bundle import Bundle
    from modelseal.trust.anchors import Anchors
    from modelseal.trust.signature import Prehashed, PublicKey
    from modelseal.trust.signer import Signer
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authentic import TimeSource
    from modelseal.verification.believed import Believed, Checks
    from modelseal.verification.checks.certificate import Certified
    from modelseal.verification.checks.timestamps import TimestampChecker
    from modelseal.verification.evidence import Evidence
    from modelseal.verification.second_opinion import SecondOpinion
    from modelseal.verification.vouching import Vouched, WhenLogged

    Read = Callable[[], bytes]
    Artifact = bytes | Prehashed | Read | None

NO_ROOT = "the key or CA that was given"
_REMEMBERED = 64  # certificates: one sign-in makes many signatures with one
# That a bundle is by another signer than one of those believed says least about it.
_OF_ANOTHER = {"key-mismatch", "not-keyless", "not-by-certificate", "untrusted-certificate"}


class Proof(NamedTuple):
    """A signature that holds: by whom, over which artifact, seen when, logged where.

    `until`, `notes` and `time_source` are as those of `Authentic`. A statement has no artifact.
    """

    signer: Signer
    key: PublicKey | None
    artifact: bytes | Prehashed | None
    times: tuple[datetime, ...]
    logged: Logged | None
    until: datetime | None = None
    notes: tuple[str, ...] = ()
    time_source: TimeSource = ""


class Verifier:
    """Verifies bundles against one trusted root, and remembers what many bundles share.

    Without a root only keys and certificates that the caller believes can vouch for anything, and
    neither logs nor timestamps are looked at.
    """

    def __init__(self, root: TrustRoot | None = None) -> None:
        self.root = root
        self._certified = lru_cache(maxsize=_REMEMBERED)(self._certify)

    @property
    def source(self) -> str:
        """Return, for people, what is believed."""
        return self.root.source if self.root else NO_ROOT

    @cached_property
    def anchors(self) -> Anchors:
        """Return the keys and certificates of the root.

        Raises:
            FormatError: there is no root, or it cannot be used ("trust-root").
        """
        from modelseal.trust import anchors  # noqa: PLC0415 - X.509, 40 ms that a key need not pay

        if self.root is None:
            raise FormatError("trust-root", "No trusted root was given.")
        return anchors.load(self.root)

    def prepare(self) -> None:
        """Load what every bundle needs, such as before processes are forked that share it.

        Raises:
            FormatError: the root cannot be used ("trust-root").
        """
        if self.root is not None:
            from modelseal.verification import evidence  # noqa: F401, PLC0415 - X.509

            self.anchors  # noqa: B018 - loads them

    @cached_property
    def _timestamps(self) -> TimestampChecker:
        from modelseal.verification.checks import timestamps  # noqa: PLC0415 - as above

        return timestamps.TimestampChecker(self.anchors.timestamp_authorities)

    @cached_property
    def _second_opinion(self) -> SecondOpinion:
        from modelseal.verification import second_opinion  # noqa: PLC0415 - 400 ms, if asked for

        if self.root is None:
            raise FormatError("trust-root", "No trusted root was given.")
        return second_opinion.SecondOpinion(self.root, self.anchors)

    def authenticate(
        self, data: bytes, believed: Believed, read: Read | None = None, *, name: str = ""
    ) -> Authentic:
        """Return what the bundle in `data` says, having checked everything but the model itself.

        An Ed25519 key signs an artifact and not its digest, so that `read` is called for it. `name`
        is the name of the bundle's file, for people.

        Raises:
            FormatError, Unverified: the first thing that is wrong. What `read` raises.
        """
        bundle = bundle_format.parse(data)
        proof = self.prove(bundle, believed, read, data)
        kind, manifest = claimed(bundle, proof.artifact)
        if kind == "oms" and proof.signer.kind != "identity":
            _check_kind(proof.key)
        return Authentic(
            proof.signer, kind, manifest, proof.times, proof.logged, self.source,
            proof.until, proof.notes, name, proof.time_source,
        )  # fmt: skip

    def prove(
        self,
        bundle: Bundle,
        believed: Believed,
        artifact: Artifact = None,
        data: bytes = b"",
    ) -> Proof:
        """Return what holds of the signature in `bundle`, whatever kind of statement it is over.

        `artifact` is what is signed if it is no statement: the bytes or their digest, or what reads
        the bytes should a digest not do; by default the digest that the bundle claims. `data` is
        the bundle as it was read, for sigstore-python.

        Raises:
            FormatError, Unverified: the first thing that is wrong.
        """
        proofs: list[Proof] = []
        errors: list[ModelSealError] = []
        for vouch in self._candidates(bundle, believed):
            ours = partial(self._check, bundle, vouch, artifact)
            theirs = partial(self._ask_sigstore, bundle, artifact, data)
            try:
                proofs.append(_agreed(believed.checks, ours, theirs))
            except ModelSealError as error:
                errors.append(error)
        if not proofs:
            raise next((e for e in errors if e.code not in _OF_ANOTHER), errors[0])
        by = (one for proof in proofs for one in proof.signer.authorities)
        first = proofs[0]
        return first._replace(signer=first.signer._replace(authorities=tuple(dict.fromkeys(by))))

    def _candidates(self, bundle: Bundle, believed: Believed) -> list[Callable[[], Vouched]]:
        """Return everybody who could vouch for the key of `bundle`.

        Raises:
            FormatError, Unverified: nobody could: it is of another kind than is believed.
        """
        if believed.checks != "modelseal" and (believed.keys or believed.authorities):
            raise UsageError(
                "verifier-identities-only",
                "sigstore-python verifies signatures by identities, not by keys or by CAs of one's "
                "own.",
                "Leave out the verifier, or name an identity.",
            )
        found: list[Callable[[], Vouched]]
        if not bundle.certificates:
            found = [partial(vouching.by_key, bundle, key) for key in believed.keys]
        else:
            found = [partial(vouching.by_authority, bundle, one) for one in believed.authorities]
            if believed.identities:
                keyless = partial(vouching.by_identity, bundle, self._certified, self.source)
                found.insert(0 if len(bundle.entries) == 1 else len(found), keyless)
        if found:
            return found
        if believed.identities:
            raise vouching.not_keyless(bundle)
        raise _of_another_kind(bundle)

    def _certify(self, der: bytes) -> tuple[Certified, Signer]:
        from modelseal.trust import fulcio  # noqa: PLC0415 - X.509, not for keys
        from modelseal.verification.checks import certificate  # noqa: PLC0415 - as above

        signer = fulcio.of_certificate(der)
        return certificate.check(der, self.anchors, self.source), signer

    def evidence(self, bundle: Bundle, *, logged: WhenLogged = "if-named") -> Evidence:
        """Return what the logs and timestamp authorities of the root say of `bundle`.

        Raises:
            FormatError, Unverified: see `evidence.gather`.
        """
        from modelseal.verification import evidence  # noqa: PLC0415 - X.509, not without a root

        return evidence.gather(
            bundle, self.anchors, self._timestamps, self.source, logged=logged
        )  # fmt: skip

    def _check(self, bundle: Bundle, vouch: Callable[[], Vouched], artifact: Artifact) -> Proof:
        """Check everything, in the order of the code.

        Raises:
            FormatError, Unverified: the first check that fails.
        """
        vouched = vouch()
        evidence = self.evidence(bundle, logged=vouched.logged) if self.root else None
        times = evidence.times if evidence else ()
        if vouched.keyless and not times:
            raise Unverified("no-trusted-time", "No trusted time vouches for the signature.")
        confirmed = vouched.confirm(evidence.claimed_times if evidence else ())
        logged = evidence.check_logged() if evidence else None
        message = content.artifact_of(bundle, vouched.key, artifact)
        content.check(bundle, message, LoggedBy(vouched.key, vouched.certificate))
        notes = (*vouched.notes, *(evidence.notes if evidence else ()))
        return Proof(
            confirmed.signer, vouched.key, message, times, logged, confirmed.until, notes,
            evidence.time_source if evidence else "",
        )  # fmt: skip

    def _ask_sigstore(self, bundle: Bundle, artifact: Artifact, data: bytes) -> Proof:
        """Return what sigstore-python says."""
        if len(bundle.entries) != 1:
            raise vouching.not_keyless(bundle)
        from modelseal.trust import fulcio  # noqa: PLC0415 - X.509, not for keys

        signer = fulcio.of_certificate(bundle.certificates[0])
        digest = None if callable(artifact) or isinstance(artifact, bytes) else artifact
        if not isinstance(bundle.content, dsse.Envelope):
            digest = digest or claimed_digest(bundle)
        time = self._second_opinion.check(bundle, data, digest)
        entry = bundle.entries[0]  # whose inclusion it checked
        logged = Logged(entry.log_index, entry.log_id)
        return Proof(signer, None, digest, (time,), logged)


def _agreed(checks: Checks, ours: Callable[[], Proof], theirs: Callable[[], Proof]) -> Proof:
    """Return the proof of the verifier whose checks count; of both, ours.

    Raises:
        FormatError, Unverified: what it says; what ours says if both refuse; "verifiers-disagree"
            if one of both does.
    """
    if checks != "both":
        return ours() if checks == "modelseal" else theirs()
    proofs: dict[str, Proof] = {}
    errors: dict[str, ModelSealError] = {}
    for name, check in (("modelseal", ours), ("sigstore", theirs)):
        try:
            proofs[name] = check()
        except ModelSealError as error:
            errors[name] = error
    if not errors:
        return proofs["modelseal"]
    if not proofs:
        raise errors["modelseal"]
    ((refusing, reason),) = errors.items()
    (accepting,) = proofs
    import logging  # noqa: PLC0415 - 5 ms that hardly any run needs

    log = logging.getLogger(__name__)
    log.warning("verifiers disagree: %s accepts, %s refuses: %s", accepting, refusing, reason)
    raise Unverified(
        "verifiers-disagree",
        f"The verifier {accepting} accepts what {refusing} refuses: {reason}",
        "Do not use this model before somebody has looked at its signature.",
    ) from reason


def _check_kind(key: PublicKey | None) -> None:
    """Check that OMS has models signed with such a key (spec 4.2, algorithm registry).

    Raises:
        FormatError: it has not ("unsupported-key").
    """
    if not isinstance(key, EllipticCurvePublicKey):
        raise FormatError(
            "unsupported-key",
            "Models are signed with P-256, P-384 or P-521 keys.",
            "Ask for a signature by such a key.",
        )


def _of_another_kind(bundle: Bundle) -> Unverified:
    """Return the refusal of a bundle whose signature is of another kind than is believed."""
    if bundle.certificates:
        return Unverified(
            "not-by-key",
            "The bundle was signed with a certificate, not a key.",
            "Verify it with --identity and --issuer, or with --certificate-chain.",
        )
    return Unverified(
        "not-by-certificate",
        "The bundle was signed with a key, not a certificate.",
        "Verify it with --key.",
    )
