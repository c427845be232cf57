# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


def test_same_bytes_signed_by_somebody_else(site, server):
    folder = site.signed("resigned")
    assert server.load("resigned").status == 200
    site.sign(folder, identity="mallory@example.com")
    assert server.load("resigned").error.endswith("[identity-mismatch]")
    site.sign(folder)
    assert server.load("resigned").status == 200
