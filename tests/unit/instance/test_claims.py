# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from github_claims import CLAIMS as GITHUB

from modelseal.instance import claims
from modelseal.instance.claims import Place
from modelseal.instance.refused import Refused

GITLAB = {
    "sub": "project_path:acme/model:ref_type:branch:ref:main", "project_path": "acme/model",
    "project_id": "1", "namespace_path": "acme", "namespace_id": "2", "ref": "main",
    "ref_type": "branch", "sha": "a" * 40, "job_id": "5", "pipeline_source": "push",
    "ci_config_ref_uri": "gitlab.com/acme/model//.gitlab-ci.yml@refs/heads/main",
    "ci_config_sha": "b" * 40, "runner_environment": "gitlab-hosted",
    "project_visibility": "private",
}  # fmt: skip
KUBERNETES = {
    "sub": "system:serviceaccount:ml:trainer",
    "kubernetes.io": {"namespace": "ml", "serviceaccount": {"name": "trainer", "uid": "x"}},
}
HERE = Place("https://issuer.example", domain="https://example.com")


def test_github_actions_as_fulcio_documents_it():
    found = claims.named("github-workflow", HERE, GITHUB)
    signer = "https://github.com/acme/ci/.github/workflows/sign.yml@refs/heads/main"
    assert (found.identity.value, found.identity.is_email) == (signer, False)
    assert found.subject == GITHUB["sub"]
    assert dict(found.extensions) == {
        2: "push", 3: "a" * 40, 4: "Release", 5: "acme/model", 6: "refs/heads/main",
        9: signer, 10: "b" * 40, 11: "github-hosted", 12: "https://github.com/acme/model",
        13: "a" * 40, 14: "refs/heads/main", 15: "1", 16: "https://github.com/acme", 17: "2",
        18: "https://github.com/acme/model/.github/workflows/release.yml@refs/heads/main",
        19: "c" * 40, 20: "push",
        21: "https://github.com/acme/model/actions/runs/3/attempts/4", 22: "private",
    }  # fmt: skip


def test_gitlab_as_fulcio_documents_it():
    found = claims.named("gitlab-pipeline", Place("https://i", "https://gitlab.corp"), GITLAB)
    config = "https://gitlab.com/acme/model//.gitlab-ci.yml@refs/heads/main"
    assert found.identity.value == config
    assert dict(found.extensions) == {
        9: config, 10: "b" * 40, 11: "gitlab-hosted", 12: "https://gitlab.corp/acme/model",
        13: "a" * 40, 14: "refs/heads/main", 15: "1", 16: "https://gitlab.corp/acme", 17: "2",
        18: config, 19: "b" * 40, 20: "push",
        21: "https://gitlab.corp/acme/model/-/jobs/5", 22: "private",
    }  # fmt: skip
    tag = claims.named("gitlab-pipeline", HERE, GITLAB | {"ref_type": "tag", "ref": "v1"})
    assert dict(tag.extensions)[14] == "refs/tags/v1"
    elsewhere = claims.named("gitlab-pipeline", HERE, GITLAB | {"ci_config_sha": ""})
    assert 10 not in dict(elsewhere.extensions)


def test_kubernetes_as_fulcio_documents_it():
    found = claims.named("kubernetes", HERE, KUBERNETES)
    assert found.identity.value == "https://kubernetes.io/namespaces/ml/serviceaccounts/trainer"
    assert found.subject == "system:serviceaccount:ml:trainer"


def test_mail_and_uri():
    person = {"sub": "4711", "email": "alice@example.com", "email_verified": True}
    found = claims.named("email", HERE, person)
    assert (found.identity.value, found.identity.is_email) == ("alice@example.com", True)
    assert found.subject == "alice@example.com"
    found = claims.named("uri", HERE, {"sub": "https://example.com/robots/1"})
    assert found.identity.value == found.subject == "https://example.com/robots/1"


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("email", {"email": "alice@example.com"}),
        ("email", {"email": "alice@example.com", "email_verified": "true"}),
        ("email", {"email": "https://example.com", "email_verified": True}),
        ("email", {"email": "alice@example.com\n", "email_verified": True}),
        ("email", {"email_verified": True}),
        ("uri", {"sub": "https://example.com.evil.example/"}),
        ("uri", {"sub": "https://example.com@evil.example/"}),
        ("uri", {"sub": "http://example.com/"}),
        ("uri", {"sub": "https://example.com:444/"}),
        ("uri", {"sub": "alice"}),
        ("kubernetes", {"sub": "x", "kubernetes.io": {"namespace": "ml"}}),
        ("kubernetes", KUBERNETES | {"kubernetes.io": "ml"}),
        ("kubernetes", {"sub": "x", "kubernetes.io": {
            "namespace": "m l", "serviceaccount": {"name": "t"}}}),
        *[("github-workflow", GITHUB | {name: ""}) for name in GITHUB],
        ("github-workflow", GITHUB | {"job_workflow_ref": "a b"}),
        ("github-workflow", GITHUB | {"repository": ["acme"]}),
        ("github-workflow", GITHUB | {"workflow": "x" * 3000}),
        ("github-workflow", GITHUB | {"workflow": "two\nlines"}),
        *[("gitlab-pipeline", GITLAB | {name: ""}) for name in GITLAB
          if name not in {"ci_config_sha", "project_visibility"}],
        ("gitlab-pipeline", GITLAB | {"ref_type": "merge"}),
    ],
)  # fmt: skip
def test_claims_that_name_nobody(kind, token):
    with pytest.raises(Refused) as caught:
        claims.named(kind, HERE, token)
    assert (caught.value.status, caught.value.code) == (401, "bad-token")
