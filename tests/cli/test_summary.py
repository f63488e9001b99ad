"""What a sweep ends with: the table at 80 columns, of few jobs and of many, reasons, the exit code."""

import csv
import json
from dataclasses import asdict

import pytest

from lstm_probe.cli.jobs import BAD_INPUT, DONE, FAILED, JobOutcome
from lstm_probe.cli.summary import BEST, MOST, REASONS, summarize
from lstm_probe.core.console import out


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(out, "width", 80)


def written(folder, outcomes):
    for n, one in enumerate(outcomes):
        (folder / str(n)).mkdir()
        (folder / str(n) / "job.json").write_text(json.dumps(asdict(one)))
    return folder


def job(units, seed, score=0.5, **more):
    settings = [f"units={units}", f"seed={seed}", "task=flipflop"]
    run = f"outputs/runs/flipflop/u{units}-s{seed}-1a2b3c4d"
    return JobOutcome(settings, **{"run": run, "scores": {"a": 1.0, "b": score}, "seconds": 12.34, **more})


def test_a_line_for_each_job_and_what_was_wrong_below(tmp_path, capsys):
    failed = {"run": None, "scores": {}, "status": FAILED}
    jobs = [job(4, 0, 0.25), job(64, 1, found=True), job(8, 2, **failed, error=["RuntimeError: nan", "The log is x."])]
    assert summarize(written(tmp_path, jobs), "train") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines[:5]] == [
        "jobs",
        "job run settings score seconds status",
        "0 u4-s0-1a2b3c4d units=4 seed=0 0.25 12.3 finished",
        "1 u64-s1-1a2b3c4d units=64 seed=1 0.50 12.3 found",
        "2 units=8 seed=2 12.3 failed",
    ]
    assert "All with task=flipflop." in lines
    place = lines.index("job 2 (units=8 seed=2) failed: RuntimeError: nan")
    assert lines[place + 1] == "  The log is x."
    assert lines[-1] == f"2 of 3 jobs finished, 1 of them found. Their outcomes: {tmp_path}"
    rows = list(csv.reader((tmp_path / "jobs.csv").read_text().splitlines()))
    assert rows[3] == ["2", "", "units=8 seed=2 task=flipflop", "", "12.3", "failed", "RuntimeError: nan The log is x."]
    assert rows[1][3] == "0.25" and len(rows) == 4


@pytest.mark.parametrize(("statuses", "code"), [((DONE, DONE), 0), ((DONE, BAD_INPUT), 2), ((BAD_INPUT, FAILED), 1),
                                                ((), 0)])  # fmt: skip
def test_the_exit_code(statuses, code, tmp_path, capsys):
    jobs = [job(4, n, status=status) for n, status in enumerate(statuses)]
    assert summarize(written(tmp_path, jobs), "train") == code


def test_hundreds_share_lines_by_all_settings_but_the_seed(tmp_path, capsys):
    jobs = [job(units, seed, seed / 100) for units in (2, 4, 128) for seed in range(100)]
    jobs[7] = job(2, 7, run=None, scores={}, status=FAILED, error=["killed"])
    assert summarize(written(tmp_path, jobs), "train") == 1
    lines = capsys.readouterr().out.splitlines()
    told = [" ".join(line.split()) for line in lines]
    assert told[1] == "settings jobs finished lowest median highest score seconds"
    assert told[2:5] == ["units=2 100 99 0.00 0.50 0.99 1234", "units=4 100 100 0.00 0.49 0.99 1234",
                         "units=128 100 100 0.00 0.49 0.99 1234"]  # fmt: skip
    assert len(lines) < 15 and max(map(len, lines[:5])) <= 80
    assert len((tmp_path / "jobs.csv").read_text().splitlines()) == 301


def test_of_too_many_kinds_the_best_are_shown(tmp_path, capsys):
    jobs = [job(4, 0, n / 1000) for n in range(MOST + 40)]
    for n, one in enumerate(jobs):
        one.settings.append(f"lr={n}")
    for one in jobs[: REASONS + 5]:
        one.status, one.scores, one.error = FAILED, {}, ["killed"]
    assert summarize(written(tmp_path, jobs), "train") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"the best {BEST} of {MOST + 40} jobs"
    assert [line.split()[0] for line in lines[2 : 2 + BEST]] == [str(MOST + 39 - k) for k in range(BEST)]
    assert sum(line.startswith("job ") and line.endswith("failed: killed") for line in lines) == REASONS
    assert "and 5 more that failed: jobs.csv has them all" in lines
