# SPDX-License-Identifier: Apache-2.0
"""A CI workflow as a signer, by what its certificate claims about the run.

Source: sigstore/fulcio, docs/oid-info.md, for what GitHub and GitLab put into which extension. The
claims are about the workflow that was started; a reusable workflow that signs is in the identity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from modelseal.errors import UsageError, shown
from modelseal.policy.patterns import Glob

if TYPE_CHECKING:
    from modelseal.trust.signer import Signer

Platform = Literal["github", "gitlab"]
PLATFORMS: tuple[Platform, ...] = ("github", "gitlab")
ISSUERS: dict[Platform, str] = {
    "github": "https://token.actions.githubusercontent.com",
    "gitlab": "https://gitlab.com",
}
_GITHUB = "https://github.com"
_GITHUB_FOLDER = ".github/workflows/"
_PART = r"[A-Za-z0-9_.-]+"
_REPOSITORY = re.compile(rf"(https://{_PART}(:[0-9]+)?/)?{_PART}(/{_PART})+")
_REFS = ("refs/heads/", "refs/tags/")

# field of Workflow -> the claim that must be one of its values
CLAIMS = {
    "trigger": "build-trigger",
    "runner_environment": "runner-environment",
    "environment": "deployment-environment",
    "visibility": "source-repository-visibility",
    "repository_id": "source-repository-identifier",
    "owner_id": "source-repository-owner-identifier",
}
_PLACE = ("source-repository-uri", "build-config-uri", "source-repository-ref")
ALL_CLAIMS = frozenset((*_PLACE, *CLAIMS.values()))  # that say which run it was


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """Runs of the file `workflow` in `repository` for one of the git references `ref`.

    `repository` is `owner/name`, at the issuer's usual host, or a URL. `ref` are globs below
    `refs/heads/` or `refs/tags/`, or exact. Without a value of its own a further field is not
    compared; with several the claim must be one of them.

    Raises:
        UsageError: a repository, workflow or reference that would cover strangers.
    """

    platform: Platform
    repository: str
    workflow: str
    ref: tuple[str, ...]
    trigger: tuple[str, ...] = ()
    runner_environment: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    repository_id: tuple[str, ...] = ()
    owner_id: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            message = f"'{shown(self.repository)}' is not a repository, such as acme/models."
            raise UsageError("loose-pattern", message, "Wildcards are for ref only.")
        if not re.fullmatch(r"[^*?@\\]+\.ya?ml", self.workflow):
            message = f"'{shown(self.workflow)}' is not the file of a workflow, such as train.yml."
            raise UsageError("loose-pattern", message, "Wildcards are for ref only.")
        for ref in self.ref:
            if Glob(ref).literal != ref and not ref.startswith(_REFS):
                message = f"The pattern '{shown(ref)}' must begin with refs/heads/ or refs/tags/."
                hint = "Other references are pull requests, which strangers can make."
                raise UsageError("loose-pattern", message, hint)
        if not self.ref:
            message = "A workflow needs the git references from which it may sign."
            raise UsageError("loose-pattern", message, 'Give at least one: ref = "refs/tags/v*"')

    def accepts(self, signer: Signer) -> bool:
        """Return whether the claims of `signer` are those of such a run."""
        claims = dict(signer.claims)
        ref, repository = claims.get("source-repository-ref"), self._uri(signer.issuer)
        if ref is None or claims.get("source-repository-uri") != repository:
            return False
        separator = "//" if self.platform == "gitlab" else "/"
        if claims.get("build-config-uri") != f"{repository}{separator}{self._path}@{ref}":
            return False
        if not any(Glob(one).matches(ref) for one in self.ref):
            return False
        wanted = ((getattr(self, field), claims.get(claim)) for field, claim in CLAIMS.items())
        return all(not values or found in values for values, found in wanted)

    @property
    def _path(self) -> str:
        """Return the path of the workflow's file in the repository."""
        if self.platform == "github" and "/" not in self.workflow:
            return _GITHUB_FOLDER + self.workflow
        return self.workflow

    def _uri(self, issuer: str) -> str:
        """Return the repository as certificates name it; GitLab issues tokens itself."""
        if "://" in self.repository:
            return self.repository
        return f"{_GITHUB if self.platform == 'github' else issuer}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.workflow} of {self.repository} at {' or '.join(self.ref)}"


def of_claims(signer: Signer) -> Workflow | None:
    """Return the workflow that `signer` is a run of, for any tag if it was run for one.

    None if the certificate does not say, or in a way that is not known here.
    """
    claims = dict(signer.claims)
    repository, ref = claims.get("source-repository-uri"), claims.get("source-repository-ref")
    config = claims.get("build-config-uri", "")
    if not repository or not ref or not config.startswith(f"{repository}/"):
        return None
    path = config.removeprefix(f"{repository}/").removesuffix(f"@{ref}")
    platform: Platform = "gitlab" if path.startswith("/") else "github"
    host = _GITHUB if platform == "github" else signer.issuer
    fixed = ("runner_environment", "repository_id", "owner_id")
    known = {name: (claims[CLAIMS[name]],) for name in fixed if claims.get(CLAIMS[name])}
    try:
        found = Workflow(
            platform=platform,
            repository=repository.removeprefix(f"{host}/"),
            workflow=path.removeprefix("/").removeprefix(_GITHUB_FOLDER),
            ref=("refs/tags/*" if ref.startswith("refs/tags/") else ref,),
            **known,
        )
    except UsageError:
        return None
    return found if found.accepts(signer) else None
