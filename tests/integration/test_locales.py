# SPDX-License-Identifier: Apache-2.0
"""File names are bytes: under every locale a model has the same names, and the same digest."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODELSEAL = Path(sys.executable).with_name("modelseal")
LATIN_1 = "en_US.ISO-8859-1"
NAMES = ["café.txt", "sub-é/漢字.bin", "plain"]  # one that Latin-1 has, one that it has not
FOLDER = "modèle-漢"


def compiled(folder: Path) -> Path:
    """Return the folder of a Latin-1 locale, which few machines have."""
    tool, sources = shutil.which("localedef"), Path("/usr/share/i18n")
    if tool is None or not (sources / "charmaps" / "ISO-8859-1.gz").exists():
        pytest.skip("no sources of locales here: apt-get install locales")
    charmap = folder / "ISO-8859-1"
    charmap.write_bytes(gzip.decompress((sources / "charmaps" / "ISO-8859-1.gz").read_bytes()))
    command = [tool, "-i", "en_US", "-f", charmap, "--no-archive", folder / LATIN_1]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=["latin-1", "ascii"])
def foreign(request, tmp_path_factory) -> dict[str, str]:
    """Give the variables under which Python reads file names in another encoding than UTF-8."""
    env = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    if request.param == "latin-1":
        env |= {"LC_ALL": LATIN_1, "LOCPATH": str(compiled(tmp_path_factory.mktemp("locale")))}
    code = "import sys; print(sys.getfilesystemencoding())"
    found = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **env})
    assert found.strip() in {b"iso8859-1", b"ascii"}
    return env


@pytest.fixture
def utf8() -> dict[str, str]:
    return {"PYTHONUTF8": "1"}


@pytest.fixture
def place(tmp_path, monkeypatch, utf8):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    run(utf8, "key", "generate", "k.key")
    return tmp_path


def run(env, *arguments, code=0) -> str:
    """Return what `modelseal ARGUMENTS` prints; arguments are given as bytes, like a shell does."""
    command = [os.fsencode(MODELSEAL), *(str(one).encode() for one in arguments)]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(errors="replace")


def listed(env, path) -> dict:
    return json.loads(run(env, "digest", path, "--format", "json"))


def test_the_names_are_the_same_under_every_locale(place, foreign, utf8):
    assert listed(foreign, FOLDER) == listed(utf8, FOLDER)
    assert {file["name"] for file in listed(foreign, FOLDER)["files"]} == set(NAMES)
    name = f"{FOLDER}/café.txt"
    assert listed(foreign, name)["files"] == listed(utf8, name)["files"]
    run(foreign, "digest", FOLDER)
    run(foreign, "diff", FOLDER, FOLDER)


@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_signed_under_one_locale_verifies_under_another(place, foreign, utf8, reverse):
    signing, verifying = (utf8, foreign) if reverse else (foreign, utf8)
    ignored = ("--ignore-path", f"{FOLDER}/café.txt")
    for model in (FOLDER, f"{FOLDER}/sub-é/漢字.bin"):
        run(signing, "sign", model, "--key", "k.key")
        run(verifying, "verify", model, "--key", "k.pub")
    run(signing, "sign", FOLDER, "--key", "k.key", "--overwrite", *ignored)
    (place / FOLDER / "café.txt").unlink()
    run(verifying, "verify", FOLDER, "--key", "k.pub")
    (place / FOLDER / "neu-é").touch()
    said = json.loads(
        run(verifying, "verify", FOLDER, "--key", "k.pub", "--format", "json", code=1)
    )
    assert said["verdicts"][0]["diff"]["added"] == ["neu-é"]
    run(verifying, "verify", FOLDER, "--key", "k.pub", code=1)


def test_a_copy_has_the_same_names(place, instance, foreign, utf8):
    token = instance.token()
    for model in (FOLDER, f"{FOLDER}/café.txt"):
        run(utf8, "sign", model, "--trust-config", instance.trust_config, "--identity-token", token)
        code = (
            "import os, sys, modelseal\n"
            "with modelseal.load(sys.argv[1], identity='alice@example.com', issuer=sys.argv[2],\n"
            "                    trust=sys.argv[3]) as copy:\n"
            "    root = os.fsencode(copy)\n"
            "    for folder, _, files in os.walk(root):\n"
            "        for file in files:\n"
            "            sys.stdout.buffer.write(os.path.join(folder, file)[len(root):] + b'\\n')\n"
            "    sys.stdout.buffer.write(os.path.basename(root) + b'\\n')\n"
        )
        command = [sys.executable, "-c", code, model, instance.issuer, instance.trusted_root]
        done = subprocess.run(
            [os.fsencode(one) for one in command], env={**os.environ, **foreign},
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        found = done.stdout.decode().splitlines()
        if model == FOLDER:
            assert sorted(found[:-1]) == sorted(f"/{name}" for name in NAMES)
        else:
            assert found == ["café.txt"]


def test_mlserver_serves_a_model_under_its_name(make_site, tmp_path, foreign):
    site = make_site(tmp_path)
    folder = site.write("modèle-漢", parameters={"uri": "./é-漢.joblib"})
    (folder / "model.joblib").rename(folder / "é-漢.joblib")
    site.sign(folder)
    code = (
        "import asyncio, os, sys\n"
        "from modelseal.servers.mlserver import VerifiedModelRepository\n"
        "root, models, store = sys.argv[1:]\n"
        "served = VerifiedModelRepository(root, models, 'policy.toml', store)\n"
        "(one,) = asyncio.run(served.find('mod\\xe8le-\\u6f22'))\n"
        "assert [one.name] == [each.name for each in asyncio.run(served.list())]\n"
        "assert os.path.isfile(one.parameters.uri)\n"
        "sys.stdout.buffer.write(os.fsencode(os.path.basename(one.parameters.uri)))\n"
    )
    command = [sys.executable, "-c", code, site.config, site.models, site.store]
    done = subprocess.run(
        command, env={**os.environ, **foreign}, cwd=site.config, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.decode() == "é-漢.joblib"


def test_tensors_are_compared(place, foreign):
    import numpy as np  # noqa: PLC0415 - only here
    from safetensors.numpy import save_file  # noqa: PLC0415 - only here

    for folder, value in (("old", 1), ("new", 2)):
        (place / folder).mkdir()
        save_file({"t": np.array([value])}, place / folder / "é.safetensors")
    said = json.loads(run(foreign, "diff", "old", "new", "--format", "json", code=1))
    assert said["tensors"]["é.safetensors"]["changed"] == ["t"]


def test_a_name_that_is_not_utf8_is_refused(place, foreign, utf8):
    """Latin-1 has all bytes, but a manifest has UTF-8."""
    with open(os.fsencode(FOLDER) + b"/\xe9.txt", "wb"):  # noqa: PTH123 - a name as bytes
        pass
    for env in (foreign, utf8):
        run(env, "sign", FOLDER, "--key", "k.key", code=1)
    assert not (place / FOLDER / "model.sig").exists()
