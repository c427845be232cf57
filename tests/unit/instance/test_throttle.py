# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.instance.refused import Refused
from modelseal.instance.throttle import PER_IDENTITY, PER_PEER, Budget, Throttle

ALICE, BOB = "alice@example.com", "bob@example.com"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock)


def guesses(throttle, identity, address, most=1000):
    """Return how many wrong passwords are taken until the next is refused."""
    for number in range(most):
        try:
            throttle.begin(identity, address)
        except Refused:
            return number
    return most


def sign_in(throttle, identity, address):
    throttle.succeeded(throttle.begin(identity, address))


def test_wrong_passwords_for_one_identity_are_limited_wherever_they_come_from(throttle):
    taken = [guesses(throttle, ALICE, f"192.0.2.{n}", most=1) for n in range(50)]
    assert sum(taken) == PER_IDENTITY


def test_one_identity_does_not_keep_out_another_at_the_same_address(throttle):
    assert guesses(throttle, ALICE, HERE) == PER_IDENTITY
    for _ in range(10_000):
        assert guesses(throttle, ALICE, HERE) == 0
    sign_in(throttle, BOB, HERE)


def test_wrong_passwords_from_one_address_are_limited_whoever_they_are_for(throttle):
    taken = [guesses(throttle, f"user-{n}@example.com", HERE, most=1) for n in range(200)]
    assert sum(taken) == PER_PEER
    sign_in(throttle, ALICE, ELSEWHERE)
    with pytest.raises(Refused):
        sign_in(throttle, ALICE, HERE)


def test_who_signed_in_from_there_before_is_not_kept_out(throttle):
    sign_in(throttle, ALICE, HERE)
    sign_in(throttle, BOB, HERE)
    assert guesses(throttle, ALICE, ELSEWHERE) == PER_IDENTITY
    for number in range(200):
        guesses(throttle, f"user-{number}@example.com", HERE, most=1)
    sign_in(throttle, ALICE, HERE)
    assert guesses(throttle, ALICE, HERE) == PER_IDENTITY
    sign_in(throttle, BOB, HERE)


def test_right_passwords_count_nowhere(throttle):
    for number in range(1000):
        sign_in(throttle, ALICE, f"192.0.2.{number % 20}")
        sign_in(throttle, f"user-{number}@example.com", HERE)
    assert guesses(throttle, BOB, HERE) == PER_IDENTITY


def test_a_right_password_does_not_forgive_wrong_ones(throttle):
    assert guesses(throttle, ALICE, HERE, most=9) == 9
    sign_in(throttle, BOB, HERE)
    sign_in(throttle, ALICE, ELSEWHERE)
    assert guesses(throttle, ALICE, HERE) == 1


def test_time_gives_attempts_back_one_by_one(throttle, clock):
    assert guesses(throttle, ALICE, HERE) == PER_IDENTITY
    with pytest.raises(Refused) as refused:
        throttle.begin(ALICE, HERE)
    assert (refused.value.status, refused.value.code) == (429, "too-many-attempts")
    assert f"in {refused.value.retry_after} seconds" in refused.value.message
    clock.now += refused.value.retry_after - 1
    assert guesses(throttle, ALICE, HERE) == 0
    clock.now += 1
    assert guesses(throttle, ALICE, HERE) == 1
    clock.now += 24 * 3600
    assert guesses(throttle, ALICE, HERE) == PER_IDENTITY


@pytest.mark.parametrize(("one", "other", "same"), [
    ("2001:db8::1", "2001:db8::ffff:1", True),
    ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ("192.0.2.1", "::ffff:192.0.2.1", True),
    ("fe80::1%eth0", "fe80::2%eth1", True),
    ("", "192.0.2.1", False),
])  # fmt: skip
def test_what_is_one_peer(throttle, one, other, same):
    for number in range(PER_PEER):
        throttle.begin(f"user-{number}@example.com", one)
    assert (guesses(throttle, ALICE, other, most=1) == 0) == same


def test_memory_is_bounded(throttle):
    for number in range(30_000):
        identity = f"{number}@example.com"
        guesses(throttle, identity, f"10.0.{number % 256}.{number // 256}", most=1)
    sizes = [len(b._levels) for b in (throttle._by_identity, throttle._by_peer, throttle._by_both)]
    assert max(sizes) == 10_000
    for number in range(30_000):
        sign_in(throttle, ALICE, f"10.1.{number % 256}.{number // 256}")
    assert len(throttle._known_peers[ALICE]) == 8


def test_an_address_in_use_stays_known_however_many_others_there_are(throttle):
    for number in range(100):
        sign_in(throttle, ALICE, HERE)
        sign_in(throttle, ALICE, f"10.0.0.{number}")
    assert guesses(throttle, ALICE, ELSEWHERE) == PER_IDENTITY
    sign_in(throttle, ALICE, HERE)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_a_budget_never_allows_more_than_burst_and_rate(pauses):
    budget, now, taken = Budget(5, 10.0), 0.0, 0
    for pause in pauses:
        now += pause
        if budget.wait("key", now) == 0:
            budget.take("key", now)
            taken += 1
        assert taken <= 5 + now / 10 + 1e-3
