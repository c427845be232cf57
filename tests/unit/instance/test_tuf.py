# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from modelseal.instance.database import Database
from modelseal.instance.refused import Refused
from modelseal.instance.tuf import TufRepository

DAY = 86400
NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()


@pytest.fixture
def repository(tmp_path):
    database = Database(tmp_path / "log.db")
    yield TufRepository(ed25519.Ed25519PrivateKey.generate(), database)
    database.close()


def read(repository, root, now):
    """Return the targets that a client with `root` believes at `now`, as python-tuf decides."""
    trusted = TrustedMetadataSet(root, EnvelopeType.METADATA)
    trusted.reference_time = datetime.fromtimestamp(now, UTC)
    while True:
        try:
            new = repository.metadata(f"{trusted.root.version + 1}.root.json", now)
        except Refused:
            break
        trusted.update_root(new)
    trusted.update_timestamp(repository.metadata("timestamp.json", now))
    version = trusted.timestamp.snapshot_meta.version
    trusted.update_snapshot(repository.metadata(f"{version}.snapshot.json", now))
    version = trusted.snapshot.meta["targets.json"].version
    targets = trusted.update_delegated_targets(
        repository.metadata(f"{version}.targets.json", now), "targets", "root"
    )
    return {
        name: repository.target(f"{target.hashes['sha256']}.{name}")
        for name, target in targets.targets.items()
    }


def test_a_client_gets_the_targets(repository):
    repository.publish({"a.json": b"one"}, NOW)
    assert read(repository, repository.metadata("1.root.json", NOW), NOW) == {"a.json": b"one"}


def test_publishing_the_same_again_signs_nothing(repository):
    repository.publish({"a.json": b"one"}, NOW)
    before = repository.metadata("timestamp.json", NOW)
    repository.publish({"a.json": b"one"}, NOW + DAY)
    assert repository.metadata("timestamp.json", NOW + DAY) == before


def test_new_targets_reach_a_client_with_an_old_root(repository):
    repository.publish({"a.json": b"one"}, NOW)
    root = repository.metadata("1.root.json", NOW)
    repository.publish({"a.json": b"two", "b.json": b"three"}, NOW + DAY)
    assert read(repository, root, NOW + DAY) == {"a.json": b"two", "b.json": b"three"}


@pytest.mark.parametrize("days", [1, 16, 31, 200, 400, 2000, 4000])
def test_an_instance_that_runs_for_years_never_serves_an_expired_file(repository, days):
    repository.publish({"a.json": b"one"}, NOW)
    root = repository.metadata("1.root.json", NOW)
    now = NOW + days * DAY
    assert read(repository, root, now) == {"a.json": b"one"}
    assert read(repository, root, now + 14 * DAY) == {"a.json": b"one"}


@pytest.mark.parametrize(
    "name",
    [
        "2.root.json", "0.root.json", "01.root.json", "-1.root.json", "x.root.json", "r.root.json",
        "1.timestamp.json", "targets.json", "1.nothing.json", "1..root.json", "1.1.root.json",
        "\N{ARABIC-INDIC DIGIT ONE}.root.json", "", ".json", "99999999999999999999.root.json",
    ],
)  # fmt: skip
def test_files_that_are_not_there(repository, name):
    repository.publish({"a.json": b"one"}, NOW)
    with pytest.raises(Refused) as error:
        repository.metadata(name, NOW)
    assert error.value.status == 404


def test_targets_that_are_not_there(repository):
    repository.publish({"a.json": b"one"}, NOW)
    for path in ("a.json", "0" * 64 + ".a.json", "../a.json", ""):
        with pytest.raises(Refused):
            repository.target(path)


def test_the_lives_are_renewed_at_half(repository):
    repository.publish({"a.json": b"one"}, NOW)
    first = repository.metadata("timestamp.json", NOW)
    assert repository.metadata("timestamp.json", NOW + 14 * DAY) == first
    renewed = NOW + timedelta(days=16).total_seconds()
    assert repository.metadata("timestamp.json", renewed) != first
