# SPDX-License-Identifier: Apache-2.0
"""`modelseal exec --confine`: processes that try what they must not be able to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from exec_site import ExecSite
from patience import PATIENCE

from modelseal.servers import landlock

ABI = landlock.abi()
pytestmark = pytest.mark.skipif(
    ABI < landlock.NETWORK_ABI, reason=f"this kernel has Landlock ABI {ABI}, and 4 is needed"
)

# Tries each of the given expressions; prints what came of it, or the number of the error.
TRY = """
import ctypes, json, os, shutil, socket, subprocess, sys, tempfile
from pathlib import Path
results = {}
for name, expression in json.loads(sys.argv[1]).items():
    try:
        results[name] = str(eval(expression))
    except OSError as error:
        results[name] = error.errno
    except subprocess.CalledProcessError as error:
        results[name] = "failed"
print(json.dumps(results))
"""
DENIED = 13  # EACCES


@pytest.fixture
def site(tmp_path):
    return ExecSite(tmp_path).prepare()


def confined(site, attempts, *options, program=TRY, env=None, **models):
    """Return what came of each of the `attempts`, Python expressions."""
    done = site.run(
        "--confine", *options, "--", sys.executable, "-c", program, json.dumps(attempts),
        env=env, **models,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hidden(path: Path) -> str:
    """Return an expression for the path that is not the text of it, which exec would refuse."""
    return f"Path('/').joinpath(*{list(path.parts[1:])!r})"


@pytest.fixture
def llm(site):
    sibling = site.models / "sibling"
    sibling.mkdir()
    (sibling / "weights.bin").write_text("not admitted")
    return site.model("llm")


def test_it_reads_the_copy_and_no_model_where_it_lies(site, llm):
    original, sibling = llm / "weights.bin", site.models / "sibling" / "weights.bin"
    results = confined(
        site,
        {
            "copy": "open(os.environ['MODELSEAL_MODEL_llm'] + '/weights.bin').read()",
            "original": f"open({hidden(original)}).read()",
            "folder": f"os.listdir({hidden(llm)})",
            "sibling": f"open({hidden(sibling)}).read()",
            "models": f"os.listdir({hidden(site.models)})",
            "policy": f"open({hidden(site.policy)}).read()",
            "key": f"open({hidden(site.folder / 'release.key')}).read()",
            "other copies": f"os.listdir({hidden(site.store)})",
            "disk": "os.listdir('/')",
            "home": f"os.listdir({hidden(Path.home())})",
            "system": "bool(os.listdir('/usr/bin'))",
        },
        llm=llm,
    )
    assert results.pop("copy") == "the weights"
    assert results.pop("system") == "True"
    assert set(results.values()) == {DENIED}, results


def test_it_cannot_write_into_the_copy_or_anywhere_but_its_own_folder(site, llm):
    copy = "Path(os.environ['MODELSEAL_MODEL_llm'])"
    results = confined(
        site,
        {
            "open for writing": f"open({copy} / 'weights.bin', 'w')",
            "open for both": f"open({copy} / 'weights.bin', 'r+')",
            "truncate": f"os.truncate({copy} / 'weights.bin', 0)",
            "new file": f"open({copy} / 'new', 'w')",
            "remove": f"os.remove({copy} / 'weights.bin')",
            "rename": f"os.rename({copy} / 'weights.bin', {copy} / 'other')",
            "link": f"os.link({copy} / 'weights.bin', {copy} / 'other')",
            "link out": f"os.link({copy} / 'weights.bin', Path(os.environ['TMPDIR']) / 'w')",
            "rename the copy": f"os.rename({copy}, {copy}.with_name('other'))",
            "store": f"open({copy}.with_name('new'), 'w')",
            "model": f"open({hidden(llm / 'weights.bin')}, 'w')",
            "work": "open('new', 'w')",
            "usr": "open('/usr/new', 'w')",
            "dev/shm": "open('/dev/shm/new', 'w')",
            "tmp": "open('/tmp/new', 'w')",
            "device": "os.mknod(Path(os.environ['TMPDIR']) / 'd', 0o60600, os.makedev(254, 0))",
            "temporary file": "bool(tempfile.TemporaryFile().write(b'x'))",
            "home": "(Path.home() / 'x').write_text('x')",
            "null": "open('/dev/null', 'w').write('x')",
        },
        llm=llm,
    )
    assert results.pop("temporary file") == "True"
    assert (results.pop("home"), results.pop("null")) == ("1", "1")
    # EXDEV says that a link or move into another folder would change what can be done with it.
    assert set(results.values()) <= {DENIED, 18}, results
    (copy,) = (one for one in site.store.iterdir() if not one.name.startswith("."))
    assert (copy / "weights.bin").read_text() == "the weights"


def test_through_proc_from_a_child_and_after_exec(site, llm):
    original = hidden(llm / "weights.bin")
    parent, fd = os.getpid(), os.open(llm / "weights.bin", os.O_RDONLY)
    child = f"import sys; from pathlib import Path; print({original}.read_text())"
    results = confined(
        site,
        {
            "own root": f"open('/proc/self/root' + str({original})).read()",
            "own cwd": "open('/proc/self/cwd/../mod' + 'els/llm/weights.bin').read()",
            "root of another process": f"open('/proc/{parent}/root' + str({original})).read()",
            "cwd of another process": f"os.listdir('/proc/{parent}/cwd')",
            "memory of another process": f"open('/proc/{parent}/mem', 'rb')",
            "descriptor of another process": f"open('/proc' + '/{parent}/fd/{fd}').read()",
            "a link to it": f"os.symlink({original}, Path(os.environ['TMPDIR']) / 'l') or "
            "open(Path(os.environ['TMPDIR']) / 'l').read()",
            "a child": f"subprocess.run([sys.executable, '-c', {child!r}], check=True)",
            "a shell": f"subprocess.run(['cat', str({original})], check=True)",
            "exec": f"subprocess.run(['sh', '-c', 'exec cat ' + str({original})], check=True)",
            "mount": f"subprocess.run(['mount', '--bind', str({original}.parent), "
            "os.environ['TMPDIR']], check=True)",
        },
        llm=llm,
    )  # fmt: skip
    os.close(fd)
    assert set(results.values()) <= {DENIED, 1, "failed"}, results


def test_a_descriptor_of_a_folder_that_was_left_open(site, llm):
    fd = os.open(site.models, os.O_RDONLY)
    os.set_inheritable(fd, True)  # noqa: FBT003 - as os has it
    attempts = {"below": f"os.open('llm/weights.bin', os.O_RDONLY, dir_fd={fd})",
                "again": f"os.listdir('/proc/self/fd/{fd}')"}  # fmt: skip
    command = site.command(
        "--confine", "--", sys.executable, "-c", TRY, json.dumps(attempts), llm=llm
    )
    done = subprocess.run(
        command, pass_fds=[fd], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    os.close(fd)
    assert json.loads(done.stdout) == {"below": DENIED, "again": DENIED}


def test_it_connects_only_where_it_may(site, llm):
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [server.getsockname()[1] for server in (one, other)]
        connect = "socket.create_connection(('127.0.0.1', {})).close()"
        attempts = {
            "allowed": connect.format(ports[0]),
            "not allowed": connect.format(ports[1]),
            "from a child": "subprocess.run([sys.executable, '-c', \"import socket; "
            + connect.format(ports[1]) + '"], check=True, stderr=subprocess.DEVNULL)',
            "listen": "socket.create_server(('127.0.0.1', 0)).close()",
        }  # fmt: skip
        results = confined(site, attempts, "--allow-connect", ports[0], llm=llm)
        assert results == {
            "allowed": "None", "not allowed": DENIED, "from a child": "failed", "listen": "None",
        }  # fmt: skip
        assert confined(site, attempts, llm=llm)["allowed"] == DENIED


@pytest.mark.skipif(ABI < 6, reason=f"this kernel has Landlock ABI {ABI}, and 6 is needed")
def test_other_processes_are_out_of_reach(site, llm):
    name = f"\0modelseal-{os.getpid()}-{site.folder.name}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        results = confined(
            site,
            {
                "signal": f"os.kill({os.getpid()}, 0)",
                "own child": "os.kill(subprocess.Popen(['sleep', '1']).pid, 9)",
                "abstract socket": f"socket.socket(socket.AF_UNIX).connect({name!r})",
            },
            llm=llm,
        )
    assert results == {"signal": 1, "own child": "None", "abstract socket": 1}


def test_what_is_allowed_beside(site, llm):
    data, out = site.folder / "data", site.folder / "out"
    for folder in (data, out):
        folder.mkdir()
    (data / "labels.txt").write_text("labels")
    results = confined(
        site,
        {
            "read": f"open({hidden(data / 'labels.txt')}).read()",
            "not write": f"open({hidden(data / 'labels.txt')}, 'w')",
            "write": f"{hidden(out / 'new')}.write_text('x')",
            "read back": f"{hidden(out / 'new')}.read_text()",
            "move": f"shutil.move({hidden(out / 'new')}, os.environ['TMPDIR'])",
        },
        "--allow-read", data, "--allow-write", out, llm=llm,
    )  # fmt: skip
    assert results["read"] == "labels"
    assert results["not write"] == DENIED
    assert results["write"] == "1"
    assert results["read back"] == "x"
    assert results["move"].startswith("/")


def test_the_private_folder_goes_when_the_command_has_ended(site, llm, tmp_path):
    place = tmp_path / "tmp"
    place.mkdir()
    env = {"TMPDIR": str(place)}
    command = ["--confine", "--", "sh", "-c", 'touch "$TMPDIR/x"; echo "$TMPDIR"; read line']
    first = subprocess.Popen(
        site.command(*command, llm=llm), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **env},
    )  # fmt: skip
    folder = Path(first.stdout.readline().strip())
    assert folder.parent == place

    site.run(*command, llm=llm, env=env, data="\n")
    assert (folder / "x").exists()  # still in use
    first.communicate("\n", timeout=PATIENCE)
    site.run(*command, llm=llm, env=env, data="\n")
    assert not folder.exists()
    assert len(list(place.iterdir())) == 1


def test_a_script_in_an_environment_of_its_own(site, llm):
    """A script's interpreter, and what is installed beside it, can be read and run."""
    environment = site.folder / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=PATIENCE
    )
    script = environment / "bin" / "serve"
    script.write_text(f"#!{environment}/bin/python\nimport sys, ssl, json; print(sys.prefix)\n")
    script.chmod(0o755)
    for program in (script, environment / "bin" / "python"):
        words = [program] if program == script else [program, "-c", "import sys; print(sys.prefix)"]
        done = site.run("--confine", "--", *words, llm=llm)
        assert done.stdout.strip() == str(environment), done.stderr
    link = site.folder / "linked"
    link.symlink_to(script)
    assert site.run("--confine", "--", link, llm=llm).stdout.strip() == str(environment)


def test_a_setuid_program_gains_nothing(site, llm):
    status = site.run("--confine", "--", "grep", "NoNewPrivs", "/proc/self/status", llm=llm)
    assert status.stdout.split() == ["NoNewPrivs:", "1"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--allow-read", "{models}"], "model-readable"),
        (["--allow-read", "{folder}"], "model-readable"),
        (["--allow-write", "/"], "model-readable"),
        (["--allow-read", "{models}/llm/weights.bin"], "model-readable"),
        (["--allow-read", "{link}"], "model-readable"),
        (["--allow-write", "{store}"], "store-writable"),
        (["--allow-read", "/no/such/folder"], "not-found"),
        (["--allow-connect", "example.com:443"], "bad-port"),
        (["--allow-connect", "0"], "bad-port"),
        (["--allow-connect", "65536"], "bad-port"),
        (["--allow-connect", "٣"], "bad-port"),
    ],
)
def test_what_would_undo_it_is_refused(site, llm, options, code):
    site.store.mkdir(mode=0o700)
    link = site.folder / "work" / "link"
    link.symlink_to(site.models)
    places = {"models": site.models, "folder": site.folder, "store": site.store, "link": link}
    done = site.run("--confine", *(one.format(**places) for one in options), "true", llm=llm)
    assert done.returncode == 2, done
    assert f"[{code}]" in done.stderr


def test_permissions_without_confinement(site, llm):
    done = site.run("--allow-read", "/usr", "true", llm=llm)
    assert done.returncode == 2
    assert "[bad-options]" in done.stderr


def test_a_model_in_the_system_can_be_read_where_it_lies(site):
    if not os.access("/usr/share", os.W_OK):
        pytest.skip("/usr/share cannot be written")
    folder = Path("/usr/share") / f"modelseal-test-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "weights.bin").write_text("x")
        done = site.run("--confine", "true", llm=site.sign(folder))
    finally:
        shutil.rmtree(folder)
    assert "[model-readable]" in done.stderr
