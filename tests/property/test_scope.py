# SPDX-License-Identifier: Apache-2.0
"""For any folder and any manifest: verification in place and admission say the same."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from modelseal.admission import source
from modelseal.admission.admit import admit
from modelseal.admission.check import check
from modelseal.errors import FormatError, PolicyRefused
from modelseal.formats import intoto, oms
from modelseal.model import manifest, scope, tree
from modelseal.model.diff import ManifestDiff, compare
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedKey
from modelseal.signing.signers.key import KeySigner
from modelseal.verification.verifier import Verifier

PARTS = st.sampled_from(
    ["a", "b.bin", ".git", ".gitattributes", "model.sig", "model.sig.2", ".DS_Store", "x.oms.sig",
     "ünï", "lost+found"]
)  # fmt: skip
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
CONTENTS = st.sampled_from([b"", b"x", b"weights"])
TARGETS = st.sampled_from(["a", "../a", "..", ".", "/etc/passwd", "nowhere", ".git"])
# Of a name: the bytes of a file, where a link leads, or that it is a FIFO.
ENTRIES = st.one_of(CONTENTS, CONTENTS, CONTENTS, TARGETS, st.none())


@st.composite
def cases(draw):
    """Return what lies in a folder, and a manifest that is mostly about that."""
    entries = draw(st.dictionaries(NAMES, ENTRIES, max_size=6))
    about = draw(st.dictionaries(NAMES, CONTENTS, max_size=2))
    for name, entry in entries.items():
        if isinstance(entry, bytes) and draw(st.booleans()):
            about[name] = draw(st.sampled_from([entry, entry, entry, b"other"]))
    how = oms.serialization(
        shard_size=draw(st.sampled_from([None, None, 3])), allow_symlinks=draw(st.booleans())
    )
    signed = oms.Manifest(
        tuple(sorted(r for item in about.items() for r in resources(*item, how))),
        tuple(draw(st.sets(NAMES, max_size=2))),
        how,
    )
    patterns = draw(st.sets(st.sampled_from(["*", ".DS_Store", "*/", ".git/", "a", "*sig"])))
    return entries, signed, tuple(patterns)


def resources(name: str, data: bytes, how: oms.Serialization) -> list[oms.Resource]:
    size = how.shard_size
    if size is None:
        return [oms.Resource(name, hashlib.sha256(data).digest())]
    ends = [(at, min(at + size, len(data))) for at in range(0, len(data), size)]
    return [
        oms.Resource(oms.shard_name(name, a, b), hashlib.sha256(data[a:b]).digest())
        for a, b in ends
    ]


def write(folder: Path, entries: dict[str, bytes | str | None]) -> None:
    folder.mkdir()
    for name, entry in entries.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(entry, bytes):
                path.write_bytes(entry)
            elif isinstance(entry, str):
                path.symlink_to(entry)
            else:
                os.mkfifo(path)
        except OSError:  # below a file, or where something is already
            continue


def in_place(model: Path, signed: oms.Manifest, which: scope.Scope) -> ManifestDiff:
    how = signed.serialization
    return compare(manifest.Contents(signed), manifest.of_folder(model, which, how))


def admitted(model: Path, signed: oms.Manifest, which: scope.Scope, into: Path) -> ManifestDiff:
    with tree.folder(model) as root:
        found = source.copied(root, which, signed.serialization, into)
    return compare(manifest.Contents(signed), found)


def outcome(function, *arguments) -> ManifestDiff | str:
    try:
        return function(*arguments)
    except FormatError as error:
        return error.code


@settings(max_examples=300)
@given(cases())
def test_verification_in_place_and_admission_agree(case):
    entries, signed, patterns = case
    with tempfile.TemporaryDirectory() as name:
        model, into = Path(name) / "model", Path(name) / "into"
        write(model, entries)
        into.mkdir()
        which = scope.of_signed(
            signed, bundle_names=scope.bundles_in(model), ignore_unsigned=patterns
        )
        verdict = outcome(in_place, model, signed, which)
        assert outcome(admitted, model, signed, which, into) == verdict
        copies = files_in(into)
        assert copies <= signed.file_names()
        if isinstance(verdict, ManifestDiff) and not verdict:
            assert copies == signed.file_names()
            check_copies(into, copies, signed)


def check_copies(into: Path, copies: set[str], signed: oms.Manifest) -> None:
    how = signed.serialization
    found = [r for name in copies for r in resources(name, (into / name).read_bytes(), how)]
    assert tuple(sorted(found)) == signed.resources
    assert not any((into / name).is_symlink() for name in copies)


KEY = ec.generate_private_key(ec.SECP256R1())
VERIFIER = Verifier()


@settings(max_examples=150)
@given(cases())
def test_the_commands_agree_on_models_that_were_signed(case):
    """From the bundle on, as `verify`, `load` and the servers go."""
    entries, signed, patterns = case
    if not signed.resources:
        return
    policy = Policy.for_signers([AcceptedKey("key", KEY.public_key())], ignore_unsigned=patterns)
    with tempfile.TemporaryDirectory() as name:
        model, store, bundle = (Path(name) / one for one in ("model", "store", "bundle"))
        write(model, entries)
        statement = oms.to_statement(signed, "model")
        bundle.write_bytes(KeySigner(KEY).statement(intoto.to_bytes(statement)))

        verdict = check(model, policy, VERIFIER, bundle)
        try:
            snapshot = admit(model, policy, VERIFIER, store, bundle=bundle)
        except PolicyRefused as refused:
            other = refused.verdict
        else:
            other = snapshot.verdict
            assert files_in(snapshot.path) == signed.file_names()
            check_copies(snapshot.path, set(signed.file_names()), signed)
        assert (other.status, other.code) == (verdict.status, verdict.code)
        # What is missing or not signed is told before a file is read, so changes may not be.
        assert (other.diff.added, other.diff.missing) == (verdict.diff.added, verdict.diff.missing)


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


@settings(max_examples=300)
@given(cases())
def test_a_file_that_nobody_signed_is_told_unless_somebody_let_it_be(case):
    """Said without the code of the scope: what is there, and who lets which of it be."""
    entries, signed, patterns = case
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model"
        write(model, {name: entry for name, entry in entries.items() if isinstance(entry, bytes)})
        bundles = scope.bundles_in(model)
        which = scope.of_signed(signed, bundle_names=bundles, ignore_unsigned=patterns)
        found = in_place(model, signed, which)
        names = signed.file_names()
        own = {".git", ".gitattributes", ".github", ".gitignore"}
        ignored = {*signed.ignored} - {"model.sig", "model.sig.2", "x.oms.sig"}
        for path in model.rglob("*"):
            file = path.relative_to(model).as_posix()
            if (
                path.is_dir()
                or file in names
                or (not path.stat().st_size and not which.empty_files)
            ):
                continue
            above = {file, *(p.as_posix() for p in Path(file).parents)} - {"."}
            let_be = above & (own | ignored | bundles | set(found.ignored_unsigned))
            lifted = {
                one for one in let_be if any(n.startswith(f"{one}/") for n in names)
            } - ignored
            assert (file in found.added) == (not let_be - lifted), file
