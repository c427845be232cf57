# SPDX-License-Identifier: Apache-2.0
"""What MLServer answers: what is wrong with the model, and nothing about the server's folders."""

from __future__ import annotations

import pytest
from needs import needs_mlserver

from modelseal.errors import FormatError, Undecided, Unverified, UsageError

pytestmark = needs_mlserver


def answer(error):
    from modelseal.servers.mlserver.refusal import refused  # noqa: PLC0415 - needs mlserver

    return refused("my-model", error)


def test_an_unsigned_model_is_called_unsigned():
    error = Unverified("unsigned", "'/srv/models/my-model' has no signature at '/srv/m/model.sig'.")
    found = answer(error)
    assert str(found) == (
        "Unsigned model 'my-model': 'my-model' has no signature at 'model.sig'. [unsigned]"
    )
    assert found.status_code == 400


@pytest.mark.parametrize(("message", "expected"), [
    ("'/srv/models/x' does not exist.", "'x' does not exist."),
    ("'/srv/o'brien/models/x' is a file, '/a b/c' too.", "'x' is a file, 'c' too."),
    ("The trusted root from /etc/ms/root.json (sha256 12) is bad.",
     "The trusted root from root.json (sha256 12) is bad."),
    ("'sub/weights' was changed; added: '../x'.", "'sub/weights' was changed; added: '../x'."),
    ("Signed by 'a@b.c' (https://issuer.example/realms/x).",
     "Signed by 'a@b.c' (https://issuer.example/realms/x)."),
    ("Signed by 'https://ci.example/a/b' and/or others.",
     "Signed by 'https://ci.example/a/b' and/or others."),
    ("Cannot read /srv/a and (/srv/b).", "Cannot read a and (b)."),
])  # fmt: skip
def test_of_a_path_there_is_the_last_part(message, expected):
    for kind in (FormatError, Unverified, Undecided, UsageError):
        found = str(answer(kind("some-code", message)))
        assert found.endswith(f": {expected} [some-code]")


@pytest.mark.parametrize(("error", "status"), [
    (Undecided("store-full", "x"), 500),
    (ValueError("/srv/secret"), 500),
    (Undecided("unreadable", "x"), 400),
    (UsageError("not-found", "x"), 400),
    (FormatError("symlink", "x"), 400),
])  # fmt: skip
def test_a_model_is_to_blame_or_the_server(error, status):
    assert answer(error).status_code == status
    assert "/srv" not in str(answer(error))
