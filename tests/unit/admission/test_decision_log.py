# SPDX-License-Identifier: Apache-2.0
"""The log of decisions: a chain that several processes continue, and what breaks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from patience import PATIENCE

from modelseal.admission import chain, decision_log
from modelseal.errors import Undecided, UsageError

DAY = 86_400


@pytest.fixture
def log(tmp_path):
    return tmp_path / "decisions.jsonl"


def add(log, *models, keep_days=184, at=None):
    when = (at or datetime.now(UTC)).isoformat()
    for model in models:
        decision_log.append(log, {"time": when, "model": model}, keep_days)


def lines_of(log):
    return log.read_bytes().splitlines(keepends=True)


def problems(*logs, **more):
    return [(one.file.name, one.line, one.message) for one in chain.verify(logs, **more).problems]


def test_each_line_follows_the_one_before(log):
    add(log, "a", "b", "c")
    entries = [json.loads(line) for line in lines_of(log)]
    assert [(one["number"], one["model"]) for one in entries] == [(1, "a"), (2, "b"), (3, "c")]
    assert entries[0]["previous"] == ""
    for before, entry in zip(lines_of(log), entries[1:], strict=False):
        assert entry["previous"] == decision_log.digest_of(before.rstrip(b"\n"))
    found = chain.verify([log])
    assert found.problems == ()
    assert (found.entries, found.first, found.last) == (3, 1, 3)
    assert found.digest == decision_log.digest_of(lines_of(log)[-1].rstrip(b"\n"))
    assert log.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from pathlib import Path
from modelseal.admission import decision_log
for number in range(int(sys.argv[3])):
    decision_log.append(Path(sys.argv[1]), {"time": "x", "model": f"{sys.argv[2]}-{number}"}, 184)
"""


def test_several_processes_write_one_chain(log):
    command = [sys.executable, "-c", WRITER, log]
    running = [subprocess.Popen([*command, name, "40"]) for name in "abc"]
    assert [process.wait(PATIENCE) for process in running] == [0, 0, 0]
    found = chain.verify([log])
    assert (found.problems, found.entries, found.last) == ((), 120, 120)
    models = {json.loads(line)["model"] for line in lines_of(log)}
    assert models == {f"{name}-{number}" for name in "abc" for number in range(40)}


def test_every_line_that_is_changed_is_named(log):
    add(log, *"abcdef")
    for number, line in enumerate(lines_of(log), 1):
        good = log.read_bytes()
        log.write_bytes(good.replace(line, line.replace(b'"model":"', b'"model":"x')))
        ((file, at, message),) = problems(log)
        assert (file, at) == ("decisions.jsonl", number if number < 6 else 0)
        assert message.startswith(f"Entry {number} was changed")
        log.write_bytes(good)
    assert problems(log) == []


def test_every_line_that_is_taken_out_is_named(log):
    add(log, *"abcdef")
    good = lines_of(log)
    for number in range(1, 7):
        log.write_bytes(b"".join(good[: number - 1] + good[number:]))
        ((_, at, message),) = problems(log)
        if number == 6:
            assert (at, message) == (0, "Entries are missing at the end: 6.")
        else:
            assert at == number
            assert "missing before this line" in message
            assert str(number) in message


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_an_end_that_is_cut_off_is_found(log, kept):
    add(log, *"abcdef")
    log.write_bytes(b"".join(lines_of(log)[:kept]))
    assert "missing at the end" in problems(log)[-1][2]


def test_lines_in_another_order_twice_or_of_another_log_are_found(log, tmp_path):
    add(log, *"abcdef")
    good = lines_of(log)
    other = tmp_path / "other.jsonl"
    add(other, *"uvwxyz")
    foreign = lines_of(other)
    for lines in (
        [*good[:2], good[3], good[2], *good[4:]],
        [*good[:3], good[2], *good[3:]],
        [*good[:2], foreign[2], *good[3:]],
        [*good[:2], b"{}\n", *good[3:]],
        [*good[:2], b"\n", *good[2:]],
        [*good, b"x" * 200_000 + b"\n"],
        foreign,
    ):
        log.write_bytes(b"".join(lines))
        assert problems(log)


def test_a_chain_that_was_made_anew_is_found_by_an_entry_that_was_noted(log):
    add(log, "a", "b", "c")
    noted = chain.verify([log]).digest
    add(log, "d")
    assert problems(log, noted=noted) == []
    for file in log.parent.iterdir():
        file.unlink()
    add(log, "a", "x", "c", "d")
    assert problems(log) == []
    ((_, _, message),) = problems(log, noted=noted)
    assert noted in message


def test_what_a_killed_process_began_is_cut_off(log):
    add(log, "a", "b")
    with log.open("ab") as file:
        file.write(b'{"number":3,"previous":"sha')
    assert problems(log) == [("decisions.jsonl", 3, "The line was not written to its end.")]
    add(log, "c")
    assert problems(log) == []
    assert len(lines_of(log)) == 3


def test_an_entry_that_is_not_in_the_head_yet_is_followed(log):
    """As after a process was killed between both."""
    add(log, "a", "b")
    head = decision_log.head_of(log)
    before = head.read_bytes()
    add(log, "c")
    head.write_bytes(before)
    assert problems(log) == []
    add(log, "d")
    found = chain.verify([log])
    assert (found.problems, found.last) == ((), 4)


def test_writing_on_after_lines_were_taken_out_does_not_hide_it(log):
    add(log, *"abcdef")
    log.write_bytes(b"".join(lines_of(log)[:3]))
    add(log, "g")
    ((_, at, message),) = problems(log)
    assert (at, message) == (4, "The entries 4 to 6 are missing before this line.")


def test_writing_on_after_the_last_line_was_changed_does_not_hide_it(log):
    add(log, *"abc")
    log.write_bytes(log.read_bytes().replace(b'"model":"c"', b'"model":"x"'))
    add(log, "d")
    ((_, at, message),) = problems(log)
    assert (at, message[:19]) == (3, "Entry 3 was changed")


def test_files_are_rotated_and_continue_the_chain(log, monkeypatch):
    monkeypatch.setattr(decision_log, "_ROTATED", 500)
    add(log, *"abcdefghijkl")
    files = decision_log.files_of(log)
    assert len(files) > 2
    assert [file.name for file in files[:1]] == ["decisions.jsonl.000000000001"]
    found = chain.verify([log])
    assert (found.problems, found.entries, found.files) == ((), 12, tuple(files))
    assert chain.verify([*log.parent.iterdir()]).problems == ()  # FILE*
    away = files[1].rename(log.parent / "away")
    assert "missing before this line" in problems(log)[0][2]
    alone = chain.verify([away])
    assert alone.problems == ()
    assert alone.first > 1


def test_the_oldest_file_cannot_be_taken_away_unseen(log, monkeypatch):
    monkeypatch.setattr(decision_log, "_ROTATED", 500)
    add(log, *"abcdefghijkl")
    decision_log.files_of(log)[0].unlink()
    ((_, at, message),) = problems(log)
    assert at == 1
    assert message.startswith("Entries are missing before this line: 1 to ")


def test_what_is_too_old_is_removed_and_not_missed(log, monkeypatch):
    monkeypatch.setattr(decision_log, "_ROTATED", 500)
    add(log, *"abcdefghijkl")
    old = datetime.now(UTC).timestamp() - 185 * DAY
    for file in decision_log.files_of(log)[:2]:
        os.utime(file, (old, old))
    before = len(decision_log.files_of(log))
    add(log, "m")
    found = chain.verify([log])
    assert len(decision_log.files_of(log)) <= before - 1
    assert found.problems == ()
    assert found.first > 1
    assert found.last == 13


def test_a_file_is_not_kept_for_ever_because_little_is_decided(log):
    add(log, "a", at=datetime.now(UTC) - timedelta(days=31))
    add(log, "b")
    assert len(decision_log.files_of(log)) == 2
    assert problems(log) == []


def test_what_another_program_rotates_goes_on(log):
    add(log, "a", "b")
    log.rename(log.with_name("old"))
    add(log, "c")
    assert json.loads(lines_of(log)[0])["number"] == 3
    assert problems(log.with_name("old"), log) == []


def test_a_full_disk_is_an_error_and_leaves_the_chain_whole(log):
    add(log, "a")
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from modelseal.admission import decision_log\nfrom modelseal.errors import Undecided\n"
        "log = Path(sys.argv[1])\nlimit = log.stat().st_size + 40\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "try:\n    decision_log.append(log, {'time': 'x', 'model': 'b' * 300}, 184)\n"
        "except Undecided as error:\n    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, log], capture_output=True, text=True, check=False
    )
    assert done.stdout == "log-unwritable\n", done.stderr
    assert problems(log) == []
    add(log, "c")
    assert chain.verify([log]).entries == 2


def test_a_place_that_cannot_be_written(tmp_path):
    for path in (tmp_path / "none" / "log", tmp_path):
        with pytest.raises(Undecided) as refused:
            decision_log.append(path, {}, 184)
        assert refused.value.code == "log-unwritable"
        with pytest.raises(Undecided):
            decision_log.check_writable(path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Undecided):
        decision_log.append(tmp_path / "link", {}, 184)


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(UsageError) as refused:
        chain.verify([tmp_path / "none"])
    assert refused.value.code == "not-found"
