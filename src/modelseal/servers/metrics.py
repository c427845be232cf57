# SPDX-License-Identifier: Apache-2.0
"""What operators want to see, as Prometheus metrics: the same names for every server.

MLServer's endpoint shows them, whatever the number of workers. A server that cannot be looked into
gets them as a file for node_exporter's textfile collector, see `write_textfile`.

Times are those of an event, not how long ago it is: a file is read later than it was written. How
long something still lasts is `modelseal_expiry_timestamp_seconds - time()`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from modelseal.errors import ModelSealError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from modelseal.policy.rules import Policy
    from modelseal.trust.anchors import Anchors
    from modelseal.verification.verifier import Verifier

_MOST_NAMES = 1000  # of models, each of which is a time series; whoever writes models chooses them
OTHERS = "(others)"  # no model has this name
_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900)  # seconds
_LAST: Final = "mostrecent"  # of several processes: the one that knew it last


class Decided(NamedTuple):
    """A decision about a model: accepted, refused or undecided, and with which code.

    It took so many seconds, for which so many bytes were hashed. `until` is when the signature
    stops verifying, None if it does not.
    """

    model: str
    verdict: str
    code: str
    seconds: float = 0
    hashed: int = 0
    until: datetime | None = None


class Metrics:
    """Counts and values of this process in a registry of prometheus_client."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Make them in `registry`, by default one of their own.

        Raises:
            UsageError: prometheus_client is not installed ("extra-missing").
        """
        try:
            from prometheus_client import (  # noqa: PLC0415 - an extra
                CollectorRegistry,
                Counter,
                Gauge,
                Histogram,
            )
        except ImportError as error:
            message = "Metrics need the package prometheus-client."
            hint = "Install it: pip install 'modelseal[metrics]'"
            raise UsageError("extra-missing", message, hint) from error
        self.registry = registry or CollectorRegistry()
        self._names: set[str] = set()
        self._digest = ""

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"modelseal_{name}", meaning, labels, registry=self.registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(
                f"modelseal_{name}", meaning, labels,
                registry=self.registry, multiprocess_mode=_LAST,
            )  # fmt: skip

        self._verdicts = counter("verdicts", "Decisions about models.", "model", "verdict", "code")
        self._seconds = Histogram(
            "modelseal_admission_seconds", "How long decisions about models took.", ("verdict",),
            registry=self.registry, buckets=_BUCKETS,
        )  # fmt: skip
        self._hashed = counter("hashed_bytes", "Bytes of models that were hashed.")
        self._store_bytes = gauge("store_bytes", "What the copies in the store take on the disk.")
        self._store_copies = gauge("store_copies", "Copies of models in the store.")
        self._policy = gauge("policy_info", "1 for the digest of the policy in force.", "digest")
        self._policy_since = gauge(
            "policy_loaded_timestamp_seconds", "Since when the policy is in force."
        )
        self._policy_good = gauge(
            "policy_reload_successful", "0 while a newer policy cannot be used, else 1."
        )
        self._reloads = counter("policy_reloads", "Changes of the policy that were read.", "result")
        self._expiry = gauge(
            "expiry_timestamp_seconds", "When the next of its kind expires.", "kind"
        )
        self._loaded = gauge("loaded_models", "Models that are loaded.")
        self._unaccepted = gauge(
            "unaccepted_models", "Loaded models that the policy no longer accepts."
        )
        self._unloaded = counter(
            "unloaded_models", "Models unloaded as the policy no longer accepts them.", "code"
        )

    def decided(self, decision: Decided) -> None:
        """Count a decision."""
        model, verdict, code, seconds, hashed, _ = decision
        if model not in self._names:
            if len(self._names) < _MOST_NAMES:
                self._names.add(model)
            else:
                model = OTHERS
        self._verdicts.labels(model, verdict, code).inc()
        self._seconds.labels(verdict).observe(seconds)
        self._hashed.inc(hashed)

    def policy_in_force(self, policy: Policy, verifier: Verifier) -> None:
        """Say which policy is in force from now on, and when what it trusts expires."""
        if policy.digest != self._digest:
            if self._digest:
                self._policy.labels(self._digest).set(0)
            self._policy.labels(policy.digest).set(1)
            self._digest = policy.digest
        self._policy_since.set(time.time())
        self.policy_usable(usable=True)
        for kind, when in next_expiry(policy, verifier).items():
            self.expires(kind, when)

    def policy_usable(self, *, usable: bool) -> None:
        """Say whether the newest policy can be used."""
        self._policy_good.set(usable)

    def policy_read(self, *, usable: bool) -> None:
        """Count a change of the policy."""
        self._reloads.labels("success" if usable else "failure").inc()
        self.policy_usable(usable=usable)

    def expires(self, kind: str, when: datetime | None) -> None:
        """Say when the next of a `kind` expires, None if none does."""
        self._expiry.labels(kind).set(float("inf") if when is None else when.timestamp())

    def store_has(self, size: int, copies: int) -> None:
        """Say what is in the store."""
        self._store_bytes.set(size)
        self._store_copies.set(copies)

    def models_are(self, loaded: int, unaccepted: int) -> None:
        """Say how many models are loaded, and how many of these are no longer accepted."""
        self._loaded.set(loaded)
        self._unaccepted.set(unaccepted)

    def model_unloaded(self, code: str) -> None:
        """Count a model that was unloaded as the policy no longer accepts it."""
        self._unloaded.labels(code).inc()

    def write(self, path: Path) -> None:
        """Write all of them to `path`, a whole file or none, as text for a textfile collector.

        Raises:
            Undecided: it cannot be written.
        """
        from prometheus_client import generate_latest  # noqa: PLC0415 - an extra

        from modelseal import outputs  # noqa: PLC0415 - for this only

        outputs.write(path, generate_latest(self.registry), mode=0o644)


def write_textfile(
    path: Path, decisions: Sequence[Decided], policy: Policy, verifier: Verifier, store: Path
) -> None:
    """Write what a server that is about to start was given, for a textfile collector.

    Raises:
        UsageError: prometheus_client is not installed. Undecided: the store or `path` is unusable.
    """
    from modelseal.admission import upkeep  # noqa: PLC0415 - for this only

    metrics = Metrics()
    for one in decisions:
        metrics.decided(one)
    metrics.policy_in_force(policy, verifier)
    ends = [one.until for one in decisions if one.until is not None]
    metrics.expires("signature", min(ends, default=None))
    metrics.models_are(sum(one.verdict == "accepted" for one in decisions), 0)
    stored = upkeep.listed(store)
    metrics.store_has(sum(one.size for one in stored), len(stored))
    metrics.write(path)


def next_expiry(policy: Policy, verifier: Verifier) -> dict[str, datetime | None]:
    """Return when the next certificate of each kind, or period of the trusted root, ends.

    What has ended already is left out: it vouches for the past, and that goes on.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - for metrics only

    now = datetime.now(UTC)
    ends = {"trust_root": [], "policy_certificate": list(_ends_of_authorities(policy))}
    if verifier.root is not None:
        with suppress(ModelSealError):  # a server with such a root does not start
            ends["trust_root"] = list(_ends(verifier.anchors))
    return {
        kind: min((one for one in found if one > now), default=None) for kind, found in ends.items()
    }


def _ends(anchors: Anchors) -> Iterator[datetime]:
    for log in (*anchors.logs, *anchors.ct_logs):
        if log.period.end is not None:
            yield log.period.end
    for authority in (*anchors.certificate_authorities, *anchors.timestamp_authorities):
        if authority.period.end is not None:
            yield authority.period.end
        yield from (one.not_valid_after_utc for one in authority.chain)


def _ends_of_authorities(policy: Policy) -> Iterator[datetime]:
    from modelseal.policy.signers import AcceptedAuthority  # noqa: PLC0415 - for metrics only

    for signer in policy.signers:
        if isinstance(signer, AcceptedAuthority):
            yield from (one.not_valid_after_utc for one in signer.roots)
