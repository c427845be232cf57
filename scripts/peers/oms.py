# SPDX-License-Identifier: Apache-2.0
"""Let model_signing sign and verify what its command line cannot say; run by its own Python.

Standard input is a JSON list of jobs; the answer is what went wrong with each, "" if nothing:

    {"do": "sign" | "verify", "model": PATH, "bundle": PATH, "by": {"key" | "certificate" |
     "sigstore": {the options of its API}}, "hash": null | "sha256" | "blake2" | "blake3",
     "shard_size": null | BYTES, "links": false, "lenient": false}

With no hash it is left to find out by itself how the model was signed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from model_signing import hashing, signing, verifying

USE = {
    ("sign", "key"): "use_elliptic_key_signer",
    ("sign", "certificate"): "use_certificate_signer",
    ("sign", "sigstore"): "use_sigstore_signer",
    ("verify", "key"): "use_elliptic_key_verifier",
    ("verify", "certificate"): "use_certificate_verifier",
    ("verify", "sigstore"): "use_sigstore_verifier",
}


def how(job: dict) -> hashing.Config:
    config, links = hashing.Config(), job.get("links", False)
    if job.get("shard_size") is None:
        config.use_file_serialization(hashing_algorithm=job["hash"], allow_symlinks=links)
    else:
        config.use_shard_serialization(
            hashing_algorithm=job["hash"], shard_size=job["shard_size"], allow_symlinks=links
        )
    return config.set_allow_symlinks(links)


def done(job: dict) -> str:
    ((method, options),) = job["by"].items()
    if "trust_config" in options:
        options["trust_config"] = Path(options["trust_config"])
    config = (signing if job["do"] == "sign" else verifying).Config()
    getattr(config, USE[job["do"], method])(**options)
    if job.get("hash"):
        config.set_hashing_config(how(job))
    if job.get("lenient"):
        config.set_ignore_unsigned_files(True)
    try:
        getattr(config, job["do"])(Path(job["model"]), Path(job["bundle"]))
    except Exception as error:  # noqa: BLE001 - it has no errors of its own
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    json.dump([done(job) for job in json.load(sys.stdin)], sys.stdout)
