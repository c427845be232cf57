# SPDX-License-Identifier: Apache-2.0
"""The story, step by step: what is said about each, and what is told to come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.cli._demo import serving, signing
from modelseal.cli._demo.telling import Step

if TYPE_CHECKING:
    from modelseal.cli._demo.stage import Stage

STEPS: tuple[Step[Stage], ...] = (
    Step(
        "Train and save",
        "A classifier of handwritten digits, saved as joblib does: as a pickle, a program.",
        "two model folders",
        signing.train,
    ),
    Step(
        "Start a private Sigstore",
        "Identities, certificates, a log and timestamps, in one process on loopback.",
        "its URL, a sign-in",
        signing.start_sigstore,
    ),
    Step(
        "Sign the files",
        "No key to keep: a certificate for ten minutes is issued to whoever signed in.",
        "a bundle beside each",
        signing.sign_files,
    ),
    Step(
        "Verify a file",
        "Offline: who signed it, when, and that every byte is the one that was signed.",
        "OK and the signer",
        signing.verify_file,
    ),
    Step(
        "Ask the stock client",
        "The bundle is a standard one: sigstore verifies it as well.",
        "OK",
        signing.verify_file_with_sigstore,
        slow=True,
    ),
    Step(
        "Sign the folders",
        "One signature covers all files: the settings choose what code runs, so they count too.",
        "model.sig in each",
        signing.sign_folders,
    ),
    Step(
        "Verify the folders",
        "Both are as alice released them.",
        "OK",
        signing.verify_folders,
    ),
    Step(
        "Tamper with one",
        "Somebody who can write to the bucket puts a pickle there that runs a command.",
        "a small pickle",
        signing.tamper,
    ),
    Step(
        "Verify again",
        "Neither signature fits any more.",
        "FAIL and why",
        signing.verify_tampered,
    ),
    Step(
        "Start MLServer",
        "The operator says who may release models; the models folder has no say in it.",
        "up, nothing loaded",
        serving.start_server,
    ),
    Step(
        "List its models",
        "A refused model stays visible, with the reason.",
        "both, one refused",
        serving.index,
    ),
    Step(
        "Load the good one",
        "It is copied while it is hashed, and loaded from that private copy only.",
        "200",
        serving.load_good,
    ),
    Step(
        "Ask for predictions",
        "The served model and the one that was trained must agree.",
        "the model's own",
        serving.infer,
    ),
    Step(
        "Load the other one",
        "It is refused before anything unpickles it.",
        "400 and why",
        serving.load_tampered,
    ),
    Step(
        "Look for the loot",
        f"Had the payload run anywhere, {signing.LOOT} would be there.",
        "nothing",
        serving.look_for_loot,
    ),
)
