# SPDX-License-Identifier: Apache-2.0
"""`--confine` where the kernel cannot, or not all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from exec_site import ExecSite
from patience import PATIENCE

from modelseal.servers import landlock

# Makes the system call landlock_create_ruleset fail with ENOSYS, as on a kernel without it and in
# containers that do not let it through; then becomes the command in its arguments.
WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys

def instruction(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)

program = b"".join([
    instruction(0x20, 0, 0, 0),  # load the number of the system call
    instruction(0x15, 0, 1, 444),  # is it landlock_create_ruleset?
    instruction(0x06, 0, 0, 0x00050000 | 38),  # ENOSYS
    instruction(0x06, 0, 0, 0x7FFF0000),  # allowed
])
buffer = ctypes.create_string_buffer(program, len(program))
libc = ctypes.CDLL(None, use_errno=True)
filters = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(filters), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def site(tmp_path):
    return ExecSite(tmp_path).prepare()


def without_landlock(site, *words, **models):
    command = [sys.executable, "-c", WITHOUT_LANDLOCK, *site.command(*words, **models)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False,
        cwd=site.folder / "work",
    )  # fmt: skip


def test_strict_refuses(site):
    done = without_landlock(site, "--confine", "--", "touch", "started", llm=site.model("llm"))
    assert (done.returncode, done.stdout) == (3, ""), done
    assert "it has no Landlock. [cannot-confine]" in done.stderr
    assert "reading and writing files" in done.stderr
    assert "--confine=best-effort" in done.stderr
    assert not (site.folder / "work" / "started").exists()


def test_best_effort_says_what_is_not_enforced(site):
    done = without_landlock(
        site, "--confine=best-effort", "--", "cat", "{llm}/weights.bin", llm=site.model("llm")
    )
    assert (done.returncode, done.stdout) == (0, "the weights"), done
    for what in ("reading and writing files", "truncating files", "connections to other machines"):
        assert f"warning: not enforced by this kernel: {what}\n" in done.stderr


TRY = """
import json, os, socket, sys
from pathlib import Path
from modelseal.servers import landlock

version, folder, port = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
read = landlock.READ | landlock.Access.WRITE_FILE
landlock.restrict(landlock.Allowed(((folder / "readable", read),)), version)

def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0

print(json.dumps({
    "read": attempt(open, folder / "hidden" / "file"),
    "truncate": attempt(os.truncate, folder / "readable" / "file", 0),
    "connect": attempt(socket.socket().connect, ("127.0.0.1", port)),
}))
"""


@pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock")
@pytest.mark.parametrize("version", range(1, landlock.abi() + 1))
def test_each_version_enforces_what_it_can(tmp_path, version):
    for name in ("readable", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", TRY, str(version), str(tmp_path), str(port)],
            capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
    missing = landlock.not_enforced(version)
    assert json.loads(done.stdout) == {
        "read": 13,
        "truncate": 0 if "truncating files" in missing else 13,
        "connect": 0 if "connections to other machines" in missing else 13,
    }


def test_what_each_version_cannot():
    assert [len(landlock.not_enforced(version)) for version in range(8)] == [3, 2, 2, 1, 0, 0, 0, 0]
    assert os.uname().sysname == "Linux"
