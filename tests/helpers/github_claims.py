# SPDX-License-Identifier: Apache-2.0
"""The claims of a token of GitHub Actions."""

from __future__ import annotations

CLAIMS = {
    "sub": "repo:acme/model:ref:refs/heads/main",
    "repository": "acme/model", "repository_owner": "acme", "repository_id": "1",
    "repository_owner_id": "2", "repository_visibility": "private", "ref": "refs/heads/main",
    "sha": "a" * 40, "workflow": "Release", "event_name": "push", "run_id": "3",
    "run_attempt": "4", "runner_environment": "github-hosted",
    "job_workflow_ref": "acme/ci/.github/workflows/sign.yml@refs/heads/main",
    "job_workflow_sha": "b" * 40,
    "workflow_ref": "acme/model/.github/workflows/release.yml@refs/heads/main",
    "workflow_sha": "c" * 40,
}  # fmt: skip
