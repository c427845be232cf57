# SPDX-License-Identifier: Apache-2.0
"""Replay, as far as this policy can name it: the model's name and its signer are bound.

An older model of the same name by the same signer passes; a minimum version is not in the policy.
"""

from __future__ import annotations

import shutil


def test_model_b_in_the_folder_of_model_a(site, server):
    a, b = site.write("replay-a"), site.write("replay-b")
    site.sign(a, b)
    shutil.rmtree(a)
    shutil.copytree(b, a)
    assert server.load("replay-a").error.endswith("[name-mismatch]")


def test_model_by_somebody_else(site, server):
    site.sign(site.write("by-mallory"), identity="mallory@example.com")
    answer = server.load("by-mallory")
    assert answer.status == 400
    assert "'mallory@example.com', not 'alice@example.com'. [identity-mismatch]" in answer.error
