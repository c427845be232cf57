# SPDX-License-Identifier: Apache-2.0
"""Write down every decision about a model that a server wants to load.

What is written down: who asked, what was decided by which policy and why, who signed and when, and
where the copy is. Nothing secret: no environment, no command line, no contents; of an address only
the part without a password.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelseal.admission import decision_log
from modelseal.errors import ModelSealError, UsageError, shown
from modelseal.policy.verdict import Check, Verdict, from_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.policy.rules import Policy
    from modelseal.trust.signer import Signer

SCHEMA = 1  # of an entry; grows when a member goes or changes its meaning
_MOST = 32  # checks or signers in an entry
_LONG = 500  # characters of a text in an entry
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")  # of a URL


class Decision:
    """A decision about the model at `source` for `server`, from the question to the answer."""

    def __init__(self, policy: Policy, source: Path, server: str) -> None:
        self._policy = policy
        self._source = source
        self._server = server
        self._began = time.monotonic()
        self.store: Path | None = None  # the path that the server gets
        self.stored = ""  # "copied", or "found" in the store

    def record(self, verdict: Verdict) -> None:
        """Write down what was decided, if the policy wants that.

        Raises:
            Undecided: it cannot be written, so nothing may come of it ("log-unwritable").
        """
        if self._policy.log is not None:
            log = self._policy.log
            decision_log.append(log.path, self._entry(verdict), log.keep_days)

    @contextmanager
    def recorded(self, model: str) -> Iterator[None]:
        """Write down a refusal of `model` that the block raises, and let it pass.

        Raises:
            Undecided: it cannot be written. ModelSealError: what the block raised.
        """
        try:
            yield
        except UsageError as error:  # such as a model that does not exist
            failed = Check("model", passed=False, detail=error.message)
            self.record(
                Verdict("undecided", model, error.code, error.message, error.hint, checks=(failed,))
            )
            raise
        except ModelSealError as error:
            self.record(from_error(model, error))
            raise

    def _entry(self, verdict: Verdict) -> dict[str, Any]:
        policy = self._policy
        rule = policy.rule_for(verdict.model)
        root = verdict.manifest and f"sha256:{verdict.manifest.root().hex()}"
        accepted = verdict.status == "accepted"
        return {
            "schema": SCHEMA,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "server": _text(self._server),
            "host": _text(socket.gethostname()),
            "process": os.getpid(),
            "model": _text(verdict.model),
            "source": _text(_PASSWORD.sub("", str(self._source))),
            "verdict": verdict.status,
            "warned": verdict.warned,
            "code": verdict.code,
            "message": _text(verdict.message),
            "rule": None if rule is None else policy.rules.index(rule) + 1,
            "mode": None if rule is None else rule.mode,
            "policy_digest": policy.digest or None,
            "root_digest": root,
            "trust": _text(verdict.trust) or None,
            "signers": [_signer(one) for one in verdict.signers[:_MOST]],
            "signed": verdict.time and verdict.time.isoformat(),
            "time_source": verdict.time_source or None,
            "log_index": verdict.log_index,
            "checks": [
                {"name": one.name, "passed": one.passed, "detail": _text(one.detail)}
                for one in verdict.checks[:_MOST]
            ],
            "duration": round(time.monotonic() - self._began, 3),  # seconds
            "store_path": str(self.store) if accepted and self.store else None,
            "stored": self.stored or None if accepted else None,
        }


def check(policy: Policy) -> None:
    """Check that decisions can be written down, if the policy wants that.

    Raises:
        Undecided: they cannot ("log-unwritable").
    """
    if policy.log is not None:
        decision_log.check_writable(policy.log.path)


def _signer(signer: Signer) -> dict[str, str]:
    return {
        "kind": signer.kind,
        "identity": _text(signer.subject),
        "issuer": _text(signer.issuer),
    }


def _text(text: str) -> str:
    return shown(text, _LONG)
