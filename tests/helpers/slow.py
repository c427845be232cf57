# SPDX-License-Identifier: Apache-2.0
"""A runtime of MLServer that stops in the middle of what a test says, until it may go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from patience import wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUNTIME = "slow_runtime.SlowModel"

_SOURCE = """\
import asyncio, os
from pathlib import Path
from mlserver import MLModel
from mlserver.types import InferenceResponse


class SlowModel(MLModel):
    async def _stop_at(self, step):
        folder = Path(self.settings.parameters.extra["folder"])
        (folder / f"{step}-{os.getpid()}").touch()
        while (folder / f"hold-{step}").exists():
            await asyncio.sleep(0.05)

    async def load(self):
        await self._stop_at("load")
        return True

    async def unload(self):
        await self._stop_at("unload")
        return True

    async def predict(self, payload):
        await self._stop_at("predict")
        return InferenceResponse(model_name=self.name, outputs=[])
"""


@dataclass(frozen=True)
class Slow:
    """Controls the models of a site that have the slow runtime."""

    folder: Path

    @classmethod
    def on(cls, site) -> Slow:
        """Install the runtime, allow it, and sign a model `slow` that has it."""
        folder = site.folder / "slow"
        folder.mkdir()
        (site.config / "slow_runtime.py").write_text(_SOURCE)
        policy = site.config / "policy.toml"
        policy.write_text(policy.read_text().replace("runtimes = [", f'runtimes = ["{RUNTIME}", '))
        site.signed("slow", implementation=RUNTIME, parameters={"extra": {"folder": str(folder)}})
        return cls(folder)

    def hold(self, step: str) -> None:
        """Stop everybody at `step` from now on."""
        for old in self.folder.glob(f"{step}-*"):
            old.unlink()
        (self.folder / f"hold-{step}").touch()

    def release(self, step: str) -> None:
        """Let everybody go on."""
        (self.folder / f"hold-{step}").unlink()

    def process_at(self, step: str) -> int:
        """Return the process that has come to `step`, as soon as there is one."""
        wait_until(lambda: any(self.folder.glob(f"{step}-*")), f"somebody at {step}")
        return int(next(self.folder.glob(f"{step}-*")).name.rpartition("-")[2])
