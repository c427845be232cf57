# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from modelseal.errors import FormatError, UsageError
from modelseal.policy import document
from modelseal.policy.rules import MLServerRules, Policy, Rule
from modelseal.policy.signers import AcceptedIdentity

TEXT = """\
version = 1
default = "deny"
[trust]
root = "trusted_root.json"
[signers.release]
identity = "alice@example.com"
issuer = "http://127.0.0.1:8100"
[[rule]]
models = ["digits-*"]
signers = ["release"]
[[rule]]
models = ["*"]
signers = ["release"]
[mlserver]
runtimes = ["mlserver_sklearn.SKLearnModel"]
[exec]
allow_holes = ["triton-model-control"]
"""


def test_the_document_of_the_issue():
    release = AcceptedIdentity("release", "alice@example.com", "http://127.0.0.1:8100")
    assert document.parse(TEXT, Path("/etc/ms")) == Policy(
        signers=(release,),
        rules=(
            Rule(models=("digits-*",), signers=("release",)),
            Rule(models=("*",), signers=("release",)),
        ),
        mlserver=MLServerRules(("mlserver_sklearn.SKLearnModel",)),
        allow_holes=("triton-model-control",),
        trust_root=Path("/etc/ms/trusted_root.json"),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'models = ["*"]',
            'modelz = ["*"]',
            "unknown key 'modelz' of [[rule]] (line 12); did you mean 'models'",
        ),
        ("[mlserver]", "[mlservr]", "unknown key 'mlservr' (line 14)"),
        ("issuer =", "issuers =", "unknown key 'issuers' of [signers.release] (line 7)"),
        ("[trust]", "[trust]\nurl = 'x'", "unknown key 'url' of [trust] (line 4)"),
        ('root = "trusted_root.json"', "root = 7", "'root' must be a string (line 4)"),
        ("version = 1", "version = 2", "'version' must be 1, not '2' (line 1)"),
        ("version = 1", "version = true", "'version' must be an integer (line 1)"),
        ("version = 1\n", "", "policy has no 'version'"),
        ('"deny"', '"allow"', "'default' must be deny, not 'allow' (line 2)"),
        ('default = "deny"\n', "", "policy has no 'default'"),
        (
            'models = ["*"]\nsigners = ["release"]',
            'models = ["*"]\nsigners = ["x"]',
            "signer 'x' is not defined (line 13)",
        ),
        ('models = ["*"]', "models = []", "'models' must be a list of strings, at least one"),
        ('models = ["*"]', 'models = ["*", 1]', "(line 12)"),
        ("[signers.release]", "[signers]\nrelease = 1\n[signers.x]", "'release' must be a table"),
        ("[[rule]]", "[rule]", "not TOML"),
        ("version = 1", "version = ", "line 1"),
        ("version = 1", "version = 1\nversion = 1", "line 2"),
        (
            'identity = "alice@example.com"',
            'identity = ""',
            "'identity' must be a string, not an empty one (line 6)",
        ),
    ],
)
def test_every_mistake_is_an_error_that_says_where(old, new, said):
    assert old in TEXT
    with pytest.raises(FormatError) as error:
        document.parse(TEXT.replace(old, new), Path("/"))
    assert error.value.code == "bad-policy"
    assert said in error.value.message


def test_line_in_spellings_that_headers_do_not_show():
    text = TEXT.replace(
        '[trust]\nroot = "trusted_root.json"', 'trust = { root = "x", roott = "y" }'
    )
    with pytest.raises(FormatError, match=r"'roott' of \[trust\] \(line 3\)"):
        document.parse(text, Path("/"))


def test_relative_to_the_file_behind_a_link(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "policy.toml").write_text(TEXT)
    (tmp_path / "policy.toml").symlink_to("data/policy.toml")
    assert document.load(tmp_path / "policy.toml").trust_root == (
        tmp_path / "data" / "trusted_root.json"
    )


def test_not_there_too_large_not_text(tmp_path):
    path = tmp_path / "policy.toml"
    with pytest.raises(UsageError, match="not-found"):
        document.load(path)
    path.write_bytes(b"#" * (document.LIMIT + 1))
    with pytest.raises(FormatError, match="too-large"):
        document.load(path)
    path.write_bytes(b"version = 1 # \xff")
    with pytest.raises(FormatError, match="bad-policy"):
        document.load(path)


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(FormatError, match="bad-policy"):
        document.parse("version = " + "[" * 100_000, Path("/"))
