# SPDX-License-Identifier: Apache-2.0
"""Whoever chooses the name of a branch, a repository or a file does not choose who they are."""

from __future__ import annotations

import pytest

from modelseal.errors import UsageError
from modelseal.policy.patterns import Glob, Regex
from modelseal.policy.signers import AcceptedIdentity
from modelseal.policy.workflows import ISSUERS, Workflow
from modelseal.trust.signer import Signer

GITHUB = ISSUERS["github"]
REPOSITORY = "https://github.com/acme/models"
RELEASE = Workflow(
    platform="github", repository="acme/models", workflow="release.yml", ref=("refs/heads/main",)
)


def run(path, ref, repository=REPOSITORY):
    identity = f"{repository}/{path}@{ref}"
    claims = {
        "source-repository-uri": repository,
        "source-repository-ref": ref,
        "build-config-uri": identity,
    }
    return Signer(identity, GITHUB, tuple(claims.items()))


HOSTILE = [
    # a branch with the name of another behind an @
    run(".github/workflows/release.yml", "refs/heads/x@refs/heads/main"),
    # a workflow that begins like the one that is meant
    run(".github/workflows/release.yml@refs/heads/main.yml", "refs/heads/x"),
    # a repository whose name begins or ends like it
    run(".github/workflows/release.yml", "refs/heads/main", "https://github.com/acme/models2"),
    run(".github/workflows/release.yml", "refs/heads/main", "https://github.com/evil/acme/models"),
    run(".github/workflows/release.yml", "refs/heads/main", "https://github.com.evil/acme/models"),
    # a pull request, which strangers can make
    run(".github/workflows/release.yml", "refs/pull/1/merge"),
]


@pytest.mark.parametrize("signer", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "wanted",
    [
        Glob(f"{REPOSITORY}/.github/workflows/release.yml@refs/heads/main"),
        Glob(f"{REPOSITORY}/**@refs/heads/main"),
        Glob(f"{REPOSITORY}/.github/workflows/*@refs/heads/main"),
        Regex(r"https://github\.com/acme/models/[^@]*@refs/heads/main"),
        None,
    ],
    ids=str,
)
def test_no_other_run_is_taken_for_the_release(signer, wanted):
    workflow = RELEASE if wanted is None else None
    accepted = AcceptedIdentity("ci", wanted, GITHUB, workflow)
    assert accepted.accepts(run(".github/workflows/release.yml", "refs/heads/main"))
    assert not accepted.accepts(signer)


def test_no_pattern_can_be_written_that_covers_every_owner():
    for pattern in (Glob("https://github.com/*"), Regex("https://github\\.com/.*")):
        with pytest.raises(UsageError, match="loose-pattern"):
            AcceptedIdentity("ci", pattern, GITHUB).check()


def test_a_name_that_was_chosen_to_be_slow_is_not():
    """By backtracking this would not end; there is no clock in here, as no clock is needed."""
    hostile = "https://github.com/acme/" + "a" * 4000
    assert not Regex(r"https://github\.com/acme/(a|a)*(a+)+$b").matches(hostile)
    assert not Glob("https://github.com/acme/" + "*a" * 30 + "b").matches(hostile)
