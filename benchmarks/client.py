# SPDX-License-Identifier: Apache-2.0
"""Whole processes, one small file: modelseal against the stock sigstore on one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.parts import ALICE, BIN, Row, alternated, instance, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts import Sizes


def rows(folder: Path, _sizes: Sizes) -> Iterator[Row]:
    with instance(folder) as started:
        config, token = started.trust_config, started.token()
        ours, theirs = folder / "ours.bin", folder / "theirs.bin"
        for file in (ours, theirs):
            file.write_bytes(b"model")
        bundle = f"{theirs}.sigstore.json"
        sign = (BIN / "modelseal", "sign", ours, "--overwrite", "--trust-config", config)
        their_sign = (
            BIN / "sigstore", "--trust-config", config, "sign", "--overwrite",
            "--bundle", bundle, "--identity-token", token, theirs,
        )  # fmt: skip
        yield Row(
            "sign a small file",
            *alternated(9, lambda: run(*sign, "--identity-token", token), lambda: run(*their_sign)),
            goal=1.0,
        )
        who = ("--identity", ALICE, "--issuer", started.url)
        verify = (BIN / "modelseal", "verify", ours, *who, "--trust-config", config)
        their_verify = (
            BIN / "sigstore", "--trust-config", config, "verify", "identity", "--offline",
            "--bundle", bundle, "--cert-identity", ALICE, "--cert-oidc-issuer", started.url, theirs,
        )  # fmt: skip
        yield Row(
            "verify a small file",
            *alternated(9, lambda: run(*verify), lambda: run(*their_verify)),
            goal=1.0,
        )
