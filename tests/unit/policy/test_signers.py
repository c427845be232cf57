# SPDX-License-Identifier: Apache-2.0
"""Which signers an accepted signer is, and which patterns nobody may write."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from private_ca import Kind, issued

from modelseal.errors import UsageError
from modelseal.policy.patterns import Glob, Regex
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import (
    SUBJECT_NAME,
    AcceptedAuthority,
    AcceptedIdentity,
    AcceptedKey,
)
from modelseal.policy.workflows import ISSUERS, Workflow
from modelseal.trust import fulcio
from modelseal.trust.signer import Signer

GITHUB, GITLAB = ISSUERS["github"], ISSUERS["gitlab"]
VECTORS = Path(__file__).parents[2] / "vectors"
RELEASE = "https://github.com/acme/models/.github/workflows/release.yml@refs/tags/v1.2"
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
ROOT, OTHER = (issued(Kind(name), None).certificate for name in ("root", "other"))


def fingerprint(certificate):
    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def test_a_key_is_compared_by_its_fingerprint_and_nothing_else():
    key = AcceptedKey("k", KEY)
    assert key.accepts(Signer(key.fingerprint, "public key", kind="key"))
    other = AcceptedKey("o", ec.generate_private_key(ec.SECP256R1()).public_key())
    assert not key.accepts(Signer(other.fingerprint, "public key", kind="key"))
    # An identity provider may give anybody such a name.
    assert not key.accepts(Signer(key.fingerprint, "public key"))
    assert not AcceptedIdentity("i", key.fingerprint, "public key").accepts(
        Signer(key.fingerprint, "public key", kind="key")
    )


def test_an_authority_is_compared_by_its_certificates_and_the_subject():
    signer = Signer(
        "CN=alice", "CN=root", ((SUBJECT_NAME, "a@x"),), "certificate", (fingerprint(ROOT),)
    )
    for subject in (None, "CN=alice", "a@x"):
        assert AcceptedAuthority("ca", (OTHER, ROOT), subject).accepts(signer)
        assert not AcceptedAuthority("ca", (OTHER,), subject).accepts(signer)
    for subject in ("CN=bob", "CN=Alice", "alice", ""):
        assert not AcceptedAuthority("ca", (ROOT,), subject).accepts(signer)
    assert not AcceptedAuthority("ca", (ROOT,)).accepts(signer._replace(kind="identity"))
    assert not AcceptedAuthority("ca", (ROOT,)).accepts(signer._replace(authorities=()))


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("https://h/o/*", "https://h/o/a", True),
        ("https://h/o/*", "https://h/o/", True),
        ("https://h/o/*", "https://h/o/a/b", False),
        ("https://h/o/**", "https://h/o/a/b", True),
        ("https://h/o/**", "https://h/o/a@b", False),
        ("https://h/o/*@refs/heads/main", "https://h/o/a.yml@refs/heads/main", True),
        # A branch named `x@refs/heads/main` must not look like main.
        ("https://h/o/**@refs/heads/main", "https://h/o/a@refs/heads/x@refs/heads/main", False),
        ("https://h/o/a?c", "https://h/o/abc", True),
        ("https://h/o/a?c", "https://h/o/a/c", False),
        ("https://h/o/a?c", "https://h/o/ac", False),
        ("https://h/o/[ab]", "https://h/o/a", False),
        ("https://h/o/[ab]", "https://h/o/[ab]", True),
        ("https://h/o/a", "https://h/o/A", False),
        ("https://h/o/a", "https://h/o/a\n", False),
        ("https://h/o/v*.*", "https://h/o/v1.2", True),
        ("https://h/o/v*.*", "https://h/o/v1", False),
    ],
)
def test_globs(pattern, subject, covered):
    assert Glob(pattern).matches(subject) == covered


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        (r"https://h\.x/o/(a|b)", "https://h.x/o/a", True),
        (r"https://h\.x/o/(a|b)", "https://h.x/o/ab", False),
        (r"https://h\.x/o/a", "evil https://h.x/o/a", False),
        (r"https://h\.x/o/a", "https://h.x/o/a\n", False),
        (r"https://h\.x/o/a.*", "https://h.x/o/a\nb", False),
        (r"https://h\.x/o/a|.*", "https://evil/o/a", False),
        (r"https://h\.x/o/a|https://h\.x/o/b", "https://h.x/o/b", True),
    ],
)
def test_regexes_are_over_the_whole_identity(pattern, subject, covered):
    assert AcceptedIdentity("x", Regex(pattern), GITHUB).covers(subject) == covered


@pytest.mark.parametrize(
    "pattern",
    [
        "*", "**", "*@example.com", "https://*", "https://*/acme/x", "https://github.com/*",
        "https://github.com/acme*", "https://github.com/acm?/x", "https://git*.com/acme/x",
        "http*://github.com/acme/x", "github.com/acme/*", "https:///acme/*", "https://h//*", "",
        "https://user@/o/*",
    ],
)  # fmt: skip
def test_globs_that_are_too_loose(pattern):
    with pytest.raises(UsageError, match=r"loose-pattern|whose-signature"):
        AcceptedIdentity("x", Glob(pattern), GITHUB).check()


@pytest.mark.parametrize(
    "pattern",
    [
        ".*", r".*@example\.com", "https://github.com/acme/.*", r"https://github\.com/acme/?.*",
        r"https://github\.com/(acme|.*)/x", r"(?i)https://github\.com/acme/x",
        r"^https://github\.com/acme/x", r"https://github\.com/acme/{0}.*", r"https?://h/o/x",
        r"https://h/o\/*x",
    ],
)  # fmt: skip
def test_regexes_that_are_too_loose(pattern):
    with pytest.raises(UsageError, match="loose-pattern"):
        AcceptedIdentity("x", Regex(pattern), GITHUB).check()


@pytest.mark.parametrize(
    "pattern", ["(", "a)|(?:b", r"(?=a)", r"(a)\1", "(?x)a #", "a{9}{9999}{99}"]
)
def test_what_is_no_regex(pattern):
    with pytest.raises(UsageError, match="bad-pattern"):
        Regex("https://h/o/" + pattern)


def test_patterns_take_linear_time():
    """Each would take longer than the universe lasts by backtracking."""
    hostile = "https://h/o/" + "a" * 4000
    assert not Regex("https://h/o/(a+)+b").matches(hostile)
    assert not Glob("https://h/o/" + "*a" * 40 + "b").matches(hostile)
    assert not Glob("https://h/o/**").matches(hostile + "a" * 1000)  # longer than any identity


def run(signer=None, **changed):
    claims = {
        "source-repository-uri": "https://github.com/acme/models",
        "source-repository-ref": "refs/tags/v1.2",
        "build-config-uri": RELEASE,
        "build-trigger": "push",
        "runner-environment": "github-hosted",
    } | changed
    return Signer(signer or RELEASE, GITHUB, tuple((k, v) for k, v in claims.items() if v))


def workflow(**changed):
    given = {
        "platform": "github",
        "repository": "acme/models",
        "workflow": "release.yml",
        "ref": ("refs/tags/v*",),
    }
    return Workflow(**given | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"source-repository-uri": "https://github.com/evil/models"},
        {"source-repository-uri": "https://evil.com/acme/models"},
        {"source-repository-uri": "https://github.com/acme/models/"},
        {"source-repository-ref": "refs/heads/main"},
        {"build-config-uri": RELEASE.replace("release", "other")},
        {"build-config-uri": RELEASE.replace("v1.2", "v1.3")},
        {"build-config-uri": RELEASE.replace("acme/models", "acme/other")},
        {"build-config-uri": RELEASE.replace("@", "@x@")},
        {"build-config-uri": None},
        {"source-repository-ref": None},
        {"source-repository-uri": None},
        {"build-trigger": "pull_request"},
        {"runner-environment": None},
    ],
)
def test_a_github_workflow_is_compared_by_its_claims(changed):
    wanted = workflow(trigger=("push", "release"), runner_environment=("github-hosted",))
    signer = AcceptedIdentity("ci", None, GITHUB, wanted)
    assert signer.accepts(run())
    assert signer.accepts(run(signer="https://github.com/other/reusable/x.yml@v1"))
    assert not signer.accepts(run(**changed))
    assert not signer.accepts(run()._replace(issuer=GITLAB))
    assert not signer.accepts(run()._replace(kind="key"))


def test_identity_and_workflow_must_both_be_right():
    signer = AcceptedIdentity(
        "ci", Glob("https://github.com/acme/**@refs/tags/*"), GITHUB, workflow()
    )
    assert signer.accepts(run())
    assert not signer.accepts(run(signer="https://github.com/other/reusable/x.yml@refs/tags/v1"))


def test_a_gitlab_pipeline():
    uri, ref = "https://gitlab.com/acme/ml/models", "refs/heads/main"
    claims = {
        "source-repository-uri": uri,
        "source-repository-ref": ref,
        "build-config-uri": f"{uri}//.gitlab-ci.yml@{ref}",
    }
    signer = Signer(f"{uri}//.gitlab-ci.yml@{ref}", GITLAB, tuple(claims.items()))
    wanted = workflow(
        platform="gitlab", repository="acme/ml/models", workflow=".gitlab-ci.yml", ref=(ref,)
    )
    assert AcceptedIdentity("ci", None, GITLAB, wanted).accepts(signer)
    assert not AcceptedIdentity("ci", None, GITHUB, wanted).accepts(signer)
    assert not workflow(
        platform="gitlab", repository="acme/ml", workflow="models//.gitlab-ci.yml", ref=(ref,)
    ).accepts(signer)


def test_a_real_certificate_of_github():
    bundle = json.loads((VECTORS / "sigstore-go" / "npm-provenance-v0.1.sigstore.json").read_text())
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    signer = fulcio.of_certificate(base64.b64decode(chain[0]["rawBytes"]))
    wanted = {"repository": "sigstore/sigstore-js", "workflow": "release.yml"}
    main = workflow(
        **wanted, ref=("refs/heads/main",), trigger=("push",), visibility=("public",),
        runner_environment=("github-hosted",), repository_id=("495574555",), owner_id=("71096353",),
    )  # fmt: skip
    assert AcceptedIdentity("npm", None, GITHUB, main).accepts(signer)
    assert not workflow(**wanted).accepts(signer)
    assert not workflow(**wanted, ref=("refs/heads/main",), owner_id=("1",)).accepts(signer)


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "*/models"},
        {"repository": "acme/*"},
        {"repository": "acme"},
        {"repository": ""},
        {"repository": "https://github.com/acme"},
        {"workflow": "*.yml"},
        {"workflow": ""},
        {"workflow": "train.yml@refs/heads/main"},
        {"ref": ()},
        {"ref": ("*",)},
        {"ref": ("refs/**",)},
        {"ref": ("refs/heads/main", "refs/pull/*/merge")},
    ],
)
def test_workflows_that_are_too_loose(changed):
    with pytest.raises(UsageError, match="loose-pattern"):
        workflow(**changed)


@pytest.mark.parametrize(
    ("identity", "issuer"), [("", GITHUB), (None, GITHUB), ("a@x", ""), (Glob(""), GITHUB)]
)
def test_an_empty_identity_or_issuer_is_nobody(identity, issuer):
    signer = AcceptedIdentity("x", identity, issuer)
    rule = Rule(models=("*",), signers=("x",))
    with pytest.raises(UsageError):
        Policy(signers=(signer,), rules=(rule,))


@pytest.mark.parametrize(
    "written",
    [
        "CN=release,O=Vendor Inc\\, Ltd,C=US",
        "CN=release, O=Vendor Inc\\, Ltd, C=US",
        "cn = release , o = Vendor Inc\\, Ltd , c = US",
    ],
)
def test_a_subject_may_be_written_with_spaces(written):
    subject = "CN=release,O=Vendor Inc\\, Ltd,C=US"
    signer = Signer(subject, "CN=root", kind="certificate", authorities=(fingerprint(ROOT),))
    assert AcceptedAuthority("vendor", (ROOT,), written).accepts(signer)


@pytest.mark.parametrize(
    "other",
    [
        "C=US,O=Vendor Inc,CN=release",  # the other way round is another name
        "CN=release,O=Vendor Inc",
        "CN=release",
        "CN=Release,O=Vendor Inc,C=US",
        "CN=release,O=VendorInc,C=US",
        "CN=release,O=Vendor Inc\\ ,C=US",  # an escaped space belongs to the value
        "CN=release+O=Vendor Inc,C=US",
        "release",
        "",
        "CN=,",
        "\\",
    ],
)
def test_another_subject_is_somebody_else(other):
    signer = Signer(
        "CN=release,O=Vendor Inc,C=US", "CN=root", kind="certificate",
        authorities=(fingerprint(ROOT),),
    )  # fmt: skip
    assert not AcceptedAuthority("vendor", (ROOT,), other).accepts(signer)


@pytest.mark.parametrize("end", ["\\ ", "\\\\", "\\,"])
def test_what_is_escaped_stays_as_it_is(end):
    subject = f"CN=release{end}"
    signer = Signer(subject, "CN=root", kind="certificate", authorities=(fingerprint(ROOT),))
    assert AcceptedAuthority("vendor", (ROOT,), f" CN = release{end} ").accepts(signer)


@pytest.mark.parametrize("subject", [" ", "\\", "\\\\\\", ","])
def test_no_name_at_all_is_not_the_empty_one(subject):
    signer = Signer("", "CN=root", kind="certificate", authorities=(fingerprint(ROOT),))
    assert not AcceptedAuthority("vendor", (ROOT,), subject).accepts(signer)
