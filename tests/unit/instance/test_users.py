# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from modelseal.errors import UsageError
from modelseal.instance import users


@pytest.fixture
def path(tmp_path):
    return tmp_path / "users"


def test_the_line_that_is_made_lets_in(path):
    lines = [
        users.format_user("alice@example.com", "correct horse"),
        users.format_user("https://ci.example.com/x", "pass:wörd"),
    ]
    path.write_text("# people\n\n" + "\n".join(lines) + "\n")
    known = users.read_users(path)
    assert known.accept("alice@example.com", "correct horse")
    assert known.accept("https://ci.example.com/x", "pass:wörd")
    assert not known.accept("alice@example.com", "pass:wörd")
    assert not known.accept("alice@example.com", "")
    assert not known.accept("mallory@example.com", "correct horse")


def test_a_password_is_not_in_its_line():
    line = users.format_user("alice@example.com", "correct horse")
    assert "correct" not in line
    assert line != users.format_user("alice@example.com", "correct horse")


def test_an_unknown_identity_costs_a_hash_too(path, monkeypatch):
    path.write_text(GOOD)
    known = users.read_users(path)
    hashed = []

    def counted(password, salt):
        hashed.append(len(salt))
        return hash_password(password, salt)

    hash_password = users._hash
    monkeypatch.setattr(users, "_hash", counted)
    assert known.accept("alice@example.com", "x")
    assert not known.accept("alice@example.com", "y")
    assert not known.accept("mallory@example.com", "x")
    assert hashed == [16, 16, 16]


# Of the password "x". Written down: the names of tests are their parameters, and stay the same.
GOOD = (
    "alice@example.com:scrypt$32768$8$1$Fw+Tf6lYaAMkh8UpcSReFw=="
    "$SmQZ8Z4l3WTcYQ1MJHk5SPd2CWCEvPvZa8IKkzX/NBk="
)


def test_lines_stay_good(path):
    path.write_text(GOOD)
    assert users.read_users(path).accept("alice@example.com", "x")


@pytest.mark.parametrize(
    "text",
    [
        "", "# nobody\n", "alice@example.com", "alice@example.com:x", GOOD[:-4], GOOD + "=",
        GOOD.replace("32768", "2"), GOOD.replace("alice@example.com", "alice"),
        f"{GOOD}\n{GOOD}", ":" + GOOD,
    ],
)  # fmt: skip
def test_what_is_no_users_file(path, text):
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        users.read_users(path)
    assert error.value.code == "users-file"


def test_a_users_file_that_cannot_be_read(path):
    with pytest.raises(UsageError):
        users.read_users(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError):
        users.read_users(path)


def test_an_empty_password_is_no_password():
    with pytest.raises(UsageError):
        users.format_user("alice@example.com", "")
