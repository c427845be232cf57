# SPDX-License-Identifier: Apache-2.0
"""Our verifier against sigstore-python, cosign and a bare interpreter: one bundle, and many."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.parts import ALICE, BIN, PEERS, Row, alternated, instance, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts import Sizes

THEIRS = """
import sys
from pathlib import Path
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
folder, root, identity, issuer = sys.argv[1:]
verifier = Verifier(trusted_root=TrustedRoot.from_file(root))
policy = Identity(identity=identity, issuer=issuer)
for path in Path(folder).glob("*.bin"):
    bundle = Bundle.from_json(Path(f"{path}.sigstore.json").read_bytes())
    verifier.verify_artifact(path.read_bytes(), bundle, policy)
"""
OURS = """
import sys
from pathlib import Path
import modelseal
folder, root, identity, issuer = sys.argv[1:]
paths = list(Path(folder).glob("*.bin"))
assert all(modelseal.verify_all(paths, identity=identity, issuer=issuer, trust=root))
"""


def rows(folder: Path, sizes: Sizes) -> Iterator[Row]:
    python = (BIN / "python", "-I")
    bare = (*python, "-c", "pass")
    yield Row(
        "--help / bare interpreter",
        *alternated(15, lambda: run(BIN / "modelseal", "--help"), lambda: run(*bare)), goal=4,
    )  # fmt: skip
    key, file = folder / "release.key", folder / "by-key.bin"
    file.write_bytes(b"model")
    run(BIN / "modelseal", "key", "generate", key)
    run(BIN / "modelseal", "sign", file, "--key", key)
    by_key = (BIN / "modelseal", "verify", file, "--key", key.with_suffix(".pub"))
    yield Row(
        "verify by key / bare interpreter",
        *alternated(15, lambda: run(*by_key), lambda: run(*bare)), goal=5,
    )  # fmt: skip
    with instance(folder) as started:
        yield from _one(folder, started)
        yield from _many(folder, started, sizes.models)


def _one(folder: Path, started) -> Iterator[Row]:
    file, root = folder / "one.bin", folder / "root.json"
    file.write_bytes(b"model")
    config = started.trust_config
    run(BIN / "modelseal", "instance", "trusted-root", "--data", started.data, "--out", root)
    run(
        BIN / "modelseal", "sign", file, "--trust-config", config,
        "--identity-token", started.token(),
    )  # fmt: skip
    bundle = f"{file}.sigstore.json"
    ours = (
        BIN / "modelseal", "verify", file, "--identity", ALICE, "--issuer", started.url,
        "--trusted-root", root,
    )  # fmt: skip
    theirs = (
        BIN / "sigstore", "--trust-config", config, "verify", "identity", "--offline",
        "--bundle", bundle, "--cert-identity", ALICE, "--cert-oidc-issuer", started.url, file,
    )  # fmt: skip
    yield Row(
        "verify one / sigstore-python",
        *alternated(15, lambda: run(*ours), lambda: run(*theirs)), goal=0.25,
    )  # fmt: skip
    for cosign in sorted(PEERS.glob("go/cosign-*"))[:1]:
        command = (
            cosign, "verify-blob", "--bundle", bundle, "--trusted-root", root,
            "--certificate-identity", ALICE, "--certificate-oidc-issuer", started.url, file,
        )  # fmt: skip
        yield Row(
            "verify one / cosign",
            *alternated(15, lambda: run(*ours), lambda c=command: run(*c)), goal=2.5,
        )  # fmt: skip


def _many(folder: Path, started, count: int) -> Iterator[Row]:
    models = folder / "models"
    models.mkdir()
    for number in range(count):
        (models / f"{number}.bin").write_bytes(b"model %d" % number)
    subprocess.run(
        [BIN / "modelseal", "sign", *models.glob("*.bin"), "--trust-config", started.trust_config,
         "--identity-token", started.token()],
        check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr,
    )  # fmt: skip
    asked = (models, folder / "root.json", ALICE, started.url)
    yield Row(
        f"verify {count} / sigstore-python",
        *alternated(
            3,
            lambda: run(BIN / "python", "-c", OURS, *asked),
            lambda: run(BIN / "python", "-c", THEIRS, *asked),
        ),
        goal=0.2,
    )
