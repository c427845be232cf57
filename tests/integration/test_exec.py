# SPDX-License-Identifier: Apache-2.0
"""`modelseal exec`: a command that runs on verified copies, or does not run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import output_schema
import pytest
from exec_site import ExecSite
from patience import PATIENCE
from prometheus_client.parser import text_string_to_metric_families

from modelseal.admission import upkeep

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getpid()]))"
MARK = "import pathlib; pathlib.Path('started').touch()"


@pytest.fixture
def site(tmp_path):
    return ExecSite(tmp_path / "with space").prepare()


def test_the_command_gets_the_copies(site):
    llm, tok = site.model("llm"), site.model("tok")
    done = site.run(
        "--", sys.executable, "-c", SHOW, "{llm}", "--model={tok}", "{{llm}}", "{", "", "$HOME",
        llm=llm, tok=tok,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    arguments, environment, _ = json.loads(done.stdout)
    copies = [environment["MODELSEAL_MODEL_llm"], environment["MODELSEAL_MODEL_tok"]]
    assert arguments == [copies[0], f"--model={copies[1]}", "{llm}", "{", "", "$HOME"]
    for copy in copies:
        assert copy.startswith(f"{site.store}/")
        assert [file.name for file in Path(copy).iterdir()] == ["weights.bin"]
    assert done.stderr.count("OK ") == 2


def test_one_file_is_a_model_too(site):
    weights = site.model("llm") / "weights.bin"
    site.sign(weights)
    done = site.run("cat", "{w}", w=weights)
    assert (done.returncode, done.stdout) == (0, "the weights")


def test_options_of_the_command_are_its_own(site):
    show = [sys.executable, "-c", SHOW, "--policy", "-q", "--format", "json", "--", "{llm}"]
    for separator in ([], ["--"]):
        done = site.run(
            *separator, *show, llm=site.models / "llm" if separator else site.model("llm")
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0][:-1] == ["--policy", "-q", "--format", "json", "--"]


def test_common_libraries_are_told_to_stay_off_the_network(site):
    llm = site.model("llm")
    show = ["sh", "-c", "echo $HF_HUB_OFFLINE $TRANSFORMERS_OFFLINE"]
    assert site.run(*show, llm=llm, env={"HF_HUB_OFFLINE": "0"}).stdout == "1 1\n"
    assert site.run("--online", *show, llm=llm, env={"HF_HUB_OFFLINE": "0"}).stdout == "0\n"


def test_the_command_is_the_process(site):
    """It has the pid, stdin, exit code, signals and file descriptors of modelseal."""
    program = (
        "import os, signal, sys\n"
        "print(os.getpid(), sys.stdin.readline().strip())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(status['SigIgn'].strip(), status['SigBlk'].strip(), status['Threads'].strip())\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:4])\n"
        "sys.exit(23)\n"
    )
    # The shell says what a process that Python had no part in ignores.
    wrapped = ["sh", "-c", 'grep SigIgn /proc/self/status; exec "$@"', "sh", sys.executable, "-c"]
    with subprocess.Popen(
        site.command(*wrapped, program, llm=site.model("llm")), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        out, err = process.communicate("hello\n", timeout=PATIENCE)

    ignored, first, second, descriptors = out.splitlines()
    assert process.returncode == 23, err
    assert first == f"{process.pid} hello"
    assert int(ignored.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0
    assert second.split()[1:] == ["0" * 16, "1"]
    assert descriptors == "[0, 1, 2, 3]"  # the last lists the others


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_command(site, number):
    with subprocess.Popen(
        site.command("sh", "-c", "echo up; exec sleep 1000", llm=site.model("llm")),
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == -number


def test_a_reader_that_is_gone_ends_the_command_as_usual(site):
    command = site.command("yes", llm=site.model("llm"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == -signal.SIGPIPE


def test_the_copy_is_what_was_signed_whatever_happens_to_the_model(site):
    llm = site.model("llm")
    with subprocess.Popen(
        site.command("sh", "-c", 'echo up; read go; cat "$1/weights.bin"', "sh", "{llm}", llm=llm),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()
        (llm / "weights.bin").write_text("evil")
        assert process.communicate("go\n", timeout=PATIENCE)[0] == "the weights"


def test_a_refused_model_starts_nothing(site):
    good, bad = site.model("good"), site.model("bad")
    (bad / "weights.bin").write_text("evil")
    (bad / "extra.py").write_text("evil")

    done = site.run("--", sys.executable, "-c", MARK, "{good}", good=good, bad=bad)

    assert (done.returncode, done.stdout) == (1, "")
    assert "FAIL bad: [digest-mismatch]" in done.stderr
    assert "OK good" in done.stderr
    assert not (site.folder / "work" / "started").exists()


def test_the_decisions_are_metrics(site):
    good, bad = site.model("good"), site.model("bad")
    (bad / "weights.bin").write_text("evil")
    metrics = site.folder / "modelseal.prom"

    def counted():
        families = text_string_to_metric_families(metrics.read_text())
        samples = [one for family in families for one in family.samples]
        names = {one.name for one in samples}
        assert {"modelseal_admission_seconds_count", "modelseal_store_bytes"} <= names
        return {
            (one.labels["model"], one.labels["verdict"], one.labels["code"]): one.value
            for one in samples
            if one.name == "modelseal_verdicts_total"
        }

    command = ("--metrics", metrics, "--", sys.executable, "-c", MARK)
    assert site.run(*command, good=good, bad=bad).returncode == 1
    assert counted() == {
        ("good", "accepted", "accepted"): 1, ("bad", "refused", "digest-mismatch"): 1,
    }  # fmt: skip
    assert site.run(*command, good=good).returncode == 0
    assert counted() == {("good", "accepted", "accepted"): 1}


def test_a_refusal_as_json(site):
    bad = site.model("bad")
    (bad / "weights.bin").write_text("evil")
    done = site.run("--format", "json", "--", sys.executable, "-c", MARK, bad=bad)
    document = json.loads(done.stdout)
    assert output_schema.problem(document) is None
    assert document["verdicts"][0]["code"] == "digest-mismatch"
    assert (document["command"], document["exit_code"], done.returncode) == ("exec", 1, 1)


def test_an_unsigned_model_starts_nothing(site):
    llm = site.model("llm")
    (llm / "model.sig").unlink()
    done = site.run("true", llm=llm)
    assert done.returncode == 1
    assert "[unsigned]" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], "no-command", "Put it at the end"),
        (["--"], "no-command", "Put it at the end"),
        (["echo", "{lllm}"], "unknown-model", "--model lllm=PATH"),
        (["no-such-program"], "command-not-found", "PATH"),
        (["/etc/passwd", "{llm}"], "command-not-found", "PATH"),
        (["--model=llm=/dev/null", "true"], "model-twice", "a name of its own"),
        (["--model=other={path}", "true"], "model-twice", "Give it once"),
        (["--model=other={path}/../llm", "true"], "model-twice", "Give it once"),
        (["--model=nothing", "true"], "bad-model", "--model llm=/srv/models/llm"),
        (["--model=a-b=/dev/null", "true"], "bad-model", "letters, digits and _"),
        (["--model==/dev/null", "true"], "bad-model", "--model llm=/srv/models/llm"),
        (["--model=other=/no/such/model", "true"], "not-found", "behind other="),
        (["--no-such-option", "true"], "unknown-option", "modelseal exec --help"),
        (["cat", "{path}/weights.bin"], "unverified-path", "{llm}"),
        (["cat", "--model={path}"], "unverified-path", "{llm}"),
        (["cat", "--lora", "a={path}/x,b=/tmp"], "unverified-path", "{llm}"),
        (["cat", "file://{path}"], "unverified-path", "{llm}"),
        (["cat", '{{"model": "{path}"}}'], "unverified-path", "{llm}"),
    ],
)  # fmt: skip
def test_bad_usage(site, words, code, said):
    llm = site.model("llm")
    given = [word.replace("{path}", str(llm)) for word in words]
    done = site.run(*given, llm=llm)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert f"[{code}]" in done.stderr
    assert said in done.stderr
    assert not site.store.exists()


def test_no_model_and_no_policy(site):
    assert "[no-model]" in site.run("true").stderr
    command = site.command("true", llm=site.model("llm"))
    at = command.index("--policy")
    done = subprocess.run(
        command[:at] + command[at + 2 :], capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[no-policy]" in done.stderr


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PATH", "LD_LIBRARY_PATH"])
def test_nothing_is_looked_for_in_a_model(site, variable):
    llm = site.model("llm", app_py="")
    there = {variable: f"{llm}:{os.environ['PATH']}"}
    for done in (site.run("true", llm=llm, env=there), site.run("true", llm=llm, cwd=llm)):
        assert done.returncode == 2
        assert "[models-too-near]" in done.stderr


def test_a_program_that_the_system_cannot_run(site):
    program = site.folder / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    done = site.run(program, llm=site.model("llm"))
    assert done.returncode == 2
    assert "[cannot-run]" in done.stderr
    assert "its first line" in done.stderr


def test_a_store_that_cannot_be_written(site):
    llm = site.model("llm")
    site.store.write_text("a file")
    for store in (site.store, "/proc/modelseal", "/sys/modelseal"):
        done = site.run(f"--store={store}", "touch", "started", llm=llm)
        assert done.returncode == 3, done
        assert f"The store '{store}' cannot be written" in done.stderr
        assert "[store-unusable]" in done.stderr
    assert not (site.folder / "work" / "started").exists()


def test_no_space_in_the_store(site):
    llm = site.model("llm", weights_bin=bytes(100_000))
    command = site.command("touch", "started", llm=llm)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 10; exec "$@"', "sh", *command], capture_output=True, text=True,
        timeout=PATIENCE, check=False, cwd=site.folder / "work",
    )  # fmt: skip
    assert done.returncode == 3, done
    assert "[store-full]" in done.stderr
    assert "Free some space" in done.stderr
    assert not (site.folder / "work" / "started").exists()
    assert not [one for one in site.store.iterdir() if not one.name.startswith(".")]


def test_the_policy_can_be_given_in_the_environment(site):
    llm = site.model("llm")
    command = site.command("echo", "started", llm=llm)
    at = command.index("--policy")
    environment = {**os.environ, "MODELSEAL_POLICY": str(site.policy)}
    done = subprocess.run(
        command[:at] + command[at + 2 :], env=environment, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


def test_the_store_of_the_user(site):
    llm = site.model("llm")
    command = site.command("echo", "{llm}", llm=llm)
    at = command.index("--store")
    environment = {**os.environ, "XDG_DATA_HOME": str(site.folder / "data")}
    done = subprocess.run(
        command[:at] + command[at + 2 :], env=environment, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(f"{site.folder}/data/modelseal/store/"), done.stderr


def test_a_model_that_the_command_does_not_name(site):
    llm, tok = site.model("llm"), site.model("tok")
    done = site.run("sh", "-c", 'cat "$MODELSEAL_MODEL_tok/weights.bin"', "{llm}", llm=llm, tok=tok)
    assert done.stdout == "the weights"
    assert "note: {tok} is not in the command, which must use $MODELSEAL_MODEL_tok\n" in done.stderr
    assert "{llm} is not" not in done.stderr


@pytest.mark.parametrize("name", ["{llm}", "a\nb", "x" * 255, "-q", "a=b"])
def test_models_of_any_name(site, name):
    folder = site.models / name
    folder.mkdir()
    (folder / "weights.bin").write_text("the weights")
    done = site.run("cat", "{llm}/weights.bin", llm=site.sign(folder))
    assert (done.returncode, done.stdout) == (0, "the weights"), done
    assert done.stderr.count("\n") == 2


def test_quiet_before_the_command(site):
    done = site.run("-q", "true", llm=site.model("llm"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nobody_removes_the_copy_while_the_command_runs(site):
    command = site.command("--", "sh", "-c", "echo ready; exec cat", llm=site.model("llm"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"ready\n"
        assert upkeep.collect(site.store, max_size=0) == []
        running.stdin.close()
        assert running.wait(PATIENCE) == 0
    assert len(upkeep.collect(site.store, max_size=0)) == 1
