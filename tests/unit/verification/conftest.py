# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from forge import Forge, make_forge
from workshop import KINDS, LogV1, Workshop


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return make_forge(tmp_path_factory.mktemp("forge") / "data")


@pytest.fixture(scope="session")
def other_forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return make_forge(tmp_path_factory.mktemp("forge") / "data")


@pytest.fixture(scope="session")
def workshop(forge) -> Workshop:
    log_v1 = LogV1()
    root = json.loads(forge.trust.json)
    root["tlogs"].append(log_v1.trusted(datetime.now(UTC) - timedelta(days=30)))
    return Workshop(forge.services, root, log_v1)


@pytest.fixture(scope="session")
def kinds() -> tuple[tuple[str, str, str], ...]:
    return KINDS
