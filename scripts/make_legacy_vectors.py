# SPDX-License-Identifier: Apache-2.0
"""Sign tests/vectors/legacy/model in every way without a service that this version has.

Once released, a bundle stays for ever: only what is missing is made. Keys are thrown away.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from modelseal.formats import oms
from modelseal.seal import keys
from modelseal.seal.sign import Way, sign_all
from modelseal.seal.signers.key import KeySigner

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "legacy"
VERSION = "0.1"


def main() -> None:
    """Make what is not there yet."""
    ways = {
        f"{curve}-{hash_type}-{'files' if size is None else 'shards'}": (curve, hash_type, size)
        for curve, hash_type, size in (
            *((curve, "sha256", None) for curve in keys.CURVES),
            *(("p256", hash_type, size) for hash_type in oms.HASHES for size in (None, 8)),
        )
    }
    for name, (curve, hash_type, size) in ways.items():
        how = Way(oms.serialization(hash_type, shard_size=size))
        make(FOLDER / VERSION / name, FOLDER / "model", curve, how)
    make(
        FOLDER / VERSION / "p256-one-file",
        FOLDER / "model" / "a",
        "p256",
        Way(files_as_models=True),
    )
    make(FOLDER / VERSION / "p256-artifact", FOLDER / "model" / "a", "p256", Way())


def make(folder: Path, model: Path, curve: str, way: Way) -> None:
    if folder.exists():
        return
    folder.mkdir(parents=True)
    with TemporaryDirectory() as private:
        key = Path(private) / "key"
        public = keys.generate(key, curve)
        signer = KeySigner(keys.load_private(key))
        sign_all([model], bundle=folder / "bundle.json", signer=signer, way=way)
        (folder / "key.pub").write_bytes(public.read_bytes())


if __name__ == "__main__":
    main()
