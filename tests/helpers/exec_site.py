# SPDX-License-Identifier: Apache-2.0
"""Models signed by a key, a policy that accepts it, a store, and `modelseal exec` over them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from in_process import invoke
from patience import PATIENCE

from modelseal.trust import private_keys

MODELSEAL = Path(sys.executable).with_name("modelseal")
PYTHON = sys.executable


@dataclass(frozen=True)
class ExecSite:
    """An operator's folder; `models` is where whoever delivers models can write."""

    folder: Path

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.toml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def prepare(self) -> ExecSite:
        self.models.mkdir(parents=True)
        (self.folder / "work").mkdir()
        private_keys.generate(self.folder / "release.key", "p256")
        self.allow()
        return self

    def allow(self, *holes: str) -> None:
        """Write the policy, which allows these holes."""
        allowed = f"[exec]\nallow_holes = {list(holes)}\n" if holes else ""
        self.policy.write_text(
            'version = 1\ndefault = "deny"\n[signers.release]\npublic_key = "release.pub"\n'
            f'[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n{allowed}'
        )

    def sign(self, model: Path) -> Path:
        done = invoke("sign", model, "--key", self.folder / "release.key", "--overwrite")
        assert done.exit_code == 0, done.output
        return model

    def model(self, name: str, **files: str | bytes) -> Path:
        """Return a signed model; `weights_bin="..."` is the file weights.bin in it."""
        folder = self.models / name
        folder.mkdir(parents=True)
        for file, data in (files or {"weights_bin": "the weights"}).items():
            stem, _, suffix = file.rpartition("_")
            content = data.encode() if isinstance(data, str) else data
            (folder / f"{stem}.{suffix}").write_bytes(content)
        return self.sign(folder)

    def command(self, *words: object, **models: Path) -> list[str]:
        named = [f"--model={name}={path}" for name, path in models.items()]
        return [
            str(MODELSEAL), "exec", "--policy", str(self.policy), "--store", str(self.store),
            *named, *map(str, words),
        ]  # fmt: skip

    def run(self, *words: object, env=None, cwd=None, data=None, **models: Path):
        """Return how `modelseal exec OPTIONS --model ... WORDS` ended."""
        return subprocess.run(
            self.command(*words, **models), env={**os.environ, **(env or {})}, input=data,
            cwd=cwd or self.folder / "work", capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
