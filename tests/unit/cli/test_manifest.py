# SPDX-License-Identifier: Apache-2.0
"""Digests that are known are signed without the model: the same signature as of the files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from in_process import invoke as run

from modelseal.formats import bundle
from modelseal.verification.claim import claimed

WAYS = [
    (), ("--hash-type", "blake2b"), ("--hash-type", "blake3", "--shard-size", 3),
    ("--shard-size", 4), ("--allow-symlinks",), ("--ignore-path", "model/sub/x"),
]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "weights.bin").write_bytes(b"0123456789")
    (tmp_path / "model" / "sub" / "x").write_text("x")
    (tmp_path / "model" / "a:b").write_text("ü")
    (tmp_path / "model" / ".gitignore").write_text("*")
    assert run("key", "generate", "k.key").exit_code == 0
    return tmp_path


def digest(path, name, *options):
    done = run("digest", path, "--format", "json", *options)
    assert done.exit_code == 0, done.output
    Path(name).write_text(done.stdout)


def signed(path):
    return claimed(bundle.parse(Path(path).read_bytes()))


@pytest.mark.parametrize("options", WAYS)
def test_the_same_is_signed_as_of_the_files(place, options):
    if "--allow-symlinks" in options:
        Path("model/link").symlink_to("sub")
    digest("model", "known.json", *options)
    assert run("sign", "model", "--key", "k.key", *options).exit_code == 0
    Path("model").rename("elsewhere")
    done = run("sign", "model", "--key", "k.key", "--manifest", "known.json", "--bundle", "m.sig")
    assert done.exit_code == 0, done.output
    assert signed("m.sig") == signed("elsewhere/model.sig")
    assert run("verify", "elsewhere", "--key", "k.pub", "--bundle", "m.sig").exit_code == 0
    (place / "elsewhere" / "weights.bin").write_bytes(b"0123456780")
    assert run("verify", "elsewhere", "--key", "k.pub", "--bundle", "m.sig").exit_code == 1


def test_one_file(place):
    digest("model/weights.bin", "known.json")
    done = run("sign", "w", "--key", "k.key", "--manifest", "known.json", "--bundle", "m.sig")
    assert done.exit_code == 0, done.output
    verify = ("--key", "k.pub", "--bundle", "m.sig")
    assert run("verify", "model/weights.bin", *verify).exit_code == 0
    assert run("verify", "model/a:b", *verify).exit_code == 1


def test_signatures_that_are_there_are_no_files_of_the_model(place):
    digest("model", "before.json")
    for _ in range(2):
        assert run("sign", "model", "--key", "k.key", "--add").exit_code == 0
    assert (place / "model" / "model.sig.2").exists()
    assert '"model.sig.2"' not in run("digest", "model", "--format", "text").output
    assert run("diff", "before.json", "model").exit_code == 0


def test_no_file_of_the_model_is_opened(place):
    """The interpreter itself reports each file and folder that is opened or listed."""
    digest("model", "known.json")
    watched = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in {'open', 'os.scandir', 'os.listdir'}:\n"
        "        print(event, args, file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "from modelseal.cli import main\n"
        "main()\n"
    )

    def opened(*options):
        command = [sys.executable, "-c", watched, "sign", "model", "--key", "k.key", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        # Files are opened by a descriptor of their folder, so only their own name is told.
        return {name for name in ("weights.bin", "sub", "a:b") if f"'{name}'" in done.stderr}

    assert opened("--manifest", "known.json", "--bundle", "m.sig") == set()
    assert opened("--bundle", "n.sig") == {"weights.bin", "sub", "a:b"}  # the watch works
    assert signed("m.sig")[1].resources == signed("n.sig")[1].resources


@pytest.mark.parametrize(
    "options",
    [("--hash-type", "blake3"), ("--shard-size", "5"), ("--allow-symlinks",), ("--update",),
     ("--ignore-path", "model/sub"), ("--add",)],
)  # fmt: skip
def test_options_that_the_list_has_itself(place, options):
    digest("model", "known.json")
    sign = ("sign", "model", "--key", "k.key", "--manifest", "known.json", "--bundle", "m.sig")
    done = run(*sign, *options)
    assert (done.exit_code, "bad-options" in done.output) == (2, True)
    assert not (place / "m.sig").exists()


def test_names_that_no_tool_prints_are_not_signed_from_a_list_either(place):
    (place / "model" / "a\nb").touch()
    digest("model", "known.json")
    done = run("sign", "m", "--key", "k.key", "--manifest", "known.json", "--bundle", "m.sig")
    assert (done.exit_code, "name-not-printable" in done.output) == (1, True)


@pytest.mark.parametrize("path", ["", "sub/x", "model", "model/*", "/etc"])
def test_a_path_that_leaves_nothing_out_is_wrong_usage(place, monkeypatch, path):
    for command in (("sign", "--key", "k.key"), ("digest",)):
        done = run(*command, "model", "--ignore-path", path)
        assert done.exit_code == 2, done.output
        assert ("empty" if not path else "[bad-ignored-path]") in done.stderr
    assert not Path("model/model.sig").exists()


def test_a_path_may_be_left_out_of_one_model_of_several(place):
    (place / "other").mkdir()
    (place / "other" / "a").write_text("a")
    done = run("sign", "model", "other", "--key", "k.key", "--ignore-path", "model/sub")
    assert done.exit_code == 0, done.output
    assert "sub" in signed("model/model.sig")[1].ignored
    assert "sub" not in signed("other/model.sig")[1].ignored


def test_nothing_is_left_out_of_a_single_file(place):
    done = run("digest", "model/weights.bin", "--ignore-path", "model/sub")
    assert (done.exit_code, "[bad-ignored-path]" in done.stderr) == (2, True)
