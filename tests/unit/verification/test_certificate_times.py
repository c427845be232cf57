# SPDX-License-Identifier: Apache-2.0
"""Every certificate of a path must have been valid at every trusted time, not the leaf alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from private_ca import DAY, NOW, Kind, chain, leaf

from modelseal.errors import Unverified
from modelseal.formats.trusted_root import Period
from modelseal.trust.anchors import Authority
from modelseal.verification.checks import authority, certificate

ALWAYS = Period(NOW - 99 * DAY)
LONG, SHORT = (NOW - 9 * DAY, NOW + 9 * DAY), (NOW - DAY, NOW + DAY)
HOUR = timedelta(hours=1)


def certified(*, root, between, end) -> certificate.Certified:
    held = chain(Kind("root", period=root), Kind("between", period=between), leaf(period=end))
    path = tuple(one.certificate for one in held)
    ca = Authority("", path[1:], ALWAYS)
    return certificate.Certified(path[0], certificate.key_of(path[0]), ((ca, path),))


@pytest.mark.parametrize("which", ["root", "between"])
@pytest.mark.parametrize("outside", [NOW - DAY - HOUR, NOW + DAY + HOUR])
def test_an_issuer_that_had_ended_or_not_begun(which, outside):
    periods = {"root": LONG, "between": LONG, "end": LONG} | {which: SHORT}
    one = certified(**periods)
    certificate.check_times(one, (NOW,), "a root")
    with pytest.raises(Unverified) as refused:
        certificate.check_times(one, (NOW, outside), "a root")
    assert refused.value.code == "authority-expired"


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("outside", [NOW - DAY - HOUR, NOW + DAY + HOUR])
def test_a_path_to_ones_own_ca(which, outside):
    periods = [SHORT if n == which else LONG for n in range(3)]
    held = chain(
        Kind("root", period=periods[0]), Kind("between", period=periods[1]), leaf(period=periods[2])
    )
    owner, between, root = (one.certificate for one in held)
    path, until = authority.check_times((owner, between), (root,), (NOW,))
    assert (path[0], path[-1], until) == (owner, root, None)
    with pytest.raises(Unverified) as refused:
        authority.check_times((owner, between), (root,), (NOW, outside))
    assert refused.value.code == "certificate-expired"
