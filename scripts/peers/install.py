# SPDX-License-Identifier: Apache-2.0
"""Build the other Sigstore clients, at pinned versions, that the interop tests run.

SoftHSM, a PKCS#11 token in software, is not built: it is a package of the system, looked for here.

They are built once and kept in a cache folder: $MODELSEAL_PEERS, by default
~/.cache/modelseal-peers. A folder's name has the version or the digest of its lock file, so a new
pin makes a new folder beside the old one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("MODELSEAL_PEERS") or Path.home() / ".cache" / "modelseal-peers")

GO = {  # file name in the cache -> module
    "cosign-v3.1.3": "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3",
    "sigstore-go-conformance-v1.3.0": "github.com/sigstore/sigstore-go/test/conformance@v1.3.0",
    "crane-v0.22.1": "github.com/google/go-containerregistry/cmd/crane@v0.22.1",  # a registry
}
JS_LOCK = HERE / "js" / "package-lock.json"
MODEL_SIGNING_LOCK = HERE / "model-signing.lock"


def _named(peer: str, lock: Path) -> Path:
    return CACHE / f"{peer}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


COSIGN, SIGSTORE_GO, CRANE = (CACHE / "go" / name for name in GO)
SIGSTORE_JS = _named("sigstore-js", JS_LOCK)  # a folder with node_modules
MODEL_SIGNING = _named("model-signing", MODEL_SIGNING_LOCK)  # a virtual environment


SOFTHSM = (  # where the packages put the module: Debian, Fedora, Homebrew
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/softhsm/libsofthsm.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
)


def softhsm() -> Path | None:
    """Return the PKCS#11 module of SoftHSM, None if it is not installed with its tool."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((path for path in SOFTHSM if path.exists()), None)


def main() -> None:
    """Build what is missing, one process at a time; what is there stays."""
    if softhsm() is None:
        sys.exit("make interop needs SoftHSM: apt-get install softhsm2, or brew install softhsm.")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, module in GO.items():
            _build(CACHE / "go" / name, lambda new, module=module: _go(module, new))
        _build(SIGSTORE_JS, _npm)
        _build(MODEL_SIGNING, lambda new: _venv(new, MODEL_SIGNING_LOCK))


def _build(target: Path, make) -> None:
    """Have `make` fill a new folder or file, then move it to `target` in one step."""
    if target.exists():
        return
    print(f"building {target.name} ...", flush=True)
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".new-") as folder:
        new = Path(folder) / "new"
        make(new)
        new.rename(target)


def _go(module: str, new: Path) -> None:
    folder = new.parent / "bin"
    _run(["go", "install", module], env={**os.environ, "GOBIN": str(folder)})
    (binary,) = folder.iterdir()
    binary.rename(new)


def _npm(new: Path) -> None:
    new.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(JS_LOCK.with_name(name), new)
    # These versions ask for Node 22 but run on Node 20 as well.
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=new)


def _venv(new: Path, lock: Path) -> None:
    _run([sys.executable, "-m", "venv", new])
    pip = [new / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--require-hashes", "--no-deps", "-r", lock])


def _run(command: list, **options) -> None:
    try:
        subprocess.run(command, check=True, **options)
    except FileNotFoundError:
        sys.exit(f"make interop needs '{command[0]}' on PATH (Go >= 1.26 and Node >= 20 with npm).")
    except subprocess.CalledProcessError as error:
        sys.exit(f"'{' '.join(map(str, command))}' failed with exit code {error.returncode}.")


if __name__ == "__main__":
    main()
