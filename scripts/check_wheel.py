# SPDX-License-Identifier: Apache-2.0
"""Show that the wheel works in an empty environment, once for each extra.

A source checkout hides what a user meets: a module that was not packaged, a dependency that another
package happened to bring. So: build the wheel, install it with one extra into an empty environment
(at the pinned versions), import every module that the extra promises, run the command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"

# extra -> the other extras that it contains
EXTRAS = {
    "": (),
    "mlserver": ("metrics",),
    "metrics": (),
    "instance": (),
    "pkcs11": (),
    "awskms": (),
    "hf": (),
    "buckets": (),
    "oci": (),
    "mlflow": (),
    "demo": ("mlserver", "instance"),
}
# module prefix -> the extra that its dependencies come with; all others need none
NEEDS = {
    "modelseal.instance": "instance",
    "modelseal.servers.mlserver": "mlserver",
    "modelseal.signing.signers.pkcs11": "pkcs11",
    "modelseal.signing.signers.kms": "awskms",
    "modelseal.sources.hub": "hf",
    "modelseal.sources.bucket": "buckets",
    "modelseal.sources.registry": "oci",
    "modelseal.sources.mlflow": "mlflow",
}


def main() -> None:
    """Build, then check each extra; exit with a message at the first that fails."""
    with tempfile.TemporaryDirectory(prefix="modelseal-wheel-") as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
        (wheel,) = folder.glob("*.whl")
        constraints = folder / "constraints.txt"
        constraints.write_text(pins(LOCK.read_text()))
        names = modules(wheel)
        for extra in EXTRAS:
            check(folder / f"env-{extra}", wheel, extra, constraints, names)


def pins(lock: str) -> str:
    """Return the lock without its hashes: pip cannot check those of a wheel built just now."""
    lines = (line.rstrip(" \\") for line in lock.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith((" ", "#"))) + "\n"


def modules(wheel: Path) -> list[str]:
    """Return the names of all modules in the wheel."""
    names = (Path(name) for name in ZipFile(wheel).namelist() if name.endswith(".py"))
    return sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in names)


def promised(name: str, extra: str) -> bool:
    """Return whether the module `name` must import in an environment with `extra`."""
    if name.endswith(".__main__"):
        return False
    needed = next((NEEDS[prefix] for prefix in NEEDS if f"{name}.".startswith(f"{prefix}.")), "")
    return needed in {"", extra, *EXTRAS[extra]}


def check(env: Path, wheel: Path, extra: str, constraints: Path, names: list[str]) -> None:
    """Install the wheel with `extra` into the empty environment `env` and use it there."""
    venv.create(env, with_pip=True)
    python = env / "bin" / "python"
    wanted = f"modelseal[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wanted)
    run(python, "-m", "pip", "check")
    importable = [name for name in names if promised(name, extra)]
    run(python, "-c", f"import {', '.join(importable)}")
    run(env / "bin" / "modelseal", "--help")
    if extra != "demo":
        demo = [env / "bin" / "modelseal", "demo"]
        told = subprocess.run(demo, check=False, capture_output=True, text=True)
        if told.returncode != 2 or "modelseal[demo]" not in told.stderr:
            sys.exit(f"demo without its extra: {told.returncode}\n{told.stderr}")
    print(f"[{extra or 'core'}] {len(importable)} modules import, modelseal --help runs")


def run(*command: str | Path) -> None:
    """Run a command outside the checkout; exit with what it said when it fails."""
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))[:200]}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
