# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from workshop import KINDS, LogV1, Workshop


@pytest.fixture(scope="session")
def workshop(forge) -> Workshop:
    log_v1 = LogV1()
    root = json.loads(forge.trust.json)
    root["tlogs"].append(log_v1.trusted(datetime.now(UTC) - timedelta(days=30)))
    return Workshop(forge.services, root, log_v1)


@pytest.fixture(scope="session")
def kinds() -> tuple[tuple[str, str, str], ...]:
    return KINDS
