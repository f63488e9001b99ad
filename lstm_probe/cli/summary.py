"""What a sweep ends with: a table of its jobs, why each failed that did, and the exit code."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from lstm_probe.cli import optuna
from lstm_probe.cli.jobs import BAD_INPUT, DONE, EXIT_CODES, FAILED, JobOutcome
from lstm_probe.cli.next_step import command as told_command
from lstm_probe.cli.next_step import show_next
from lstm_probe.core.console import out
from lstm_probe.core.files import write_whole
from lstm_probe.core.numbers import number
from lstm_probe.core.tables import WordTable

#: A table of more jobs would not be read: those of one kind share a line then, or the best are shown.
MOST = 60
BEST = 20
#: Reasons of failures that are printed.
REASONS = 20
#: Runs of several jobs that are named.
MOST_TWICE = 3
#: All jobs of a sweep, a line each.
TABLE = "jobs.csv"
FOUND = "found"

#: A job's number, and its outcome.
Jobs = Sequence[tuple[str, JobOutcome]]


def summarize(folder: Path, command: str) -> int:
    """Print what became of the jobs of a sweep, and return the exit code.

    Args:
        folder: the sweep's folder, in which every job has a folder with its `job.json`.
        command: of which the jobs are.
    """
    files = sorted(folder.glob("*/job.json"), key=lambda path: (len(path.parent.name), path.parent.name))
    jobs = [(path.parent.name, JobOutcome(**json.loads(path.read_text()))) for path in files]
    if not jobs:
        return EXIT_CODES[DONE]
    outcomes = [one for _, one in jobs]
    common = set.intersection(*(set(one.settings) for one in outcomes)) if len(outcomes) > 1 else set()
    show_table(jobs, common)
    if common:
        out.print(f"All with {' '.join(sorted(common))}.", markup=False, soft_wrap=True)
    made = {Path(one.run) for one in outcomes if one.run is not None}
    if command == "train" and len(stores := {str(run.parents[2]) for run in made}) == 1:
        show_next(("All runs on one page:", told_command("report", outputs=stores.pop())))
    show_reasons(jobs, common)
    for line in optuna.in_words(folder):
        out.print(line, markup=False, soft_wrap=True)
    for line in twice(jobs):
        out.print(line, markup=False, soft_wrap=True)
    if made:
        out.print(f"Runs: {' '.join(sorted({str(run.parent) for run in made}))}", markup=False, soft_wrap=True)
    with suppress(OSError):  # it says nothing that the jobs' own files do not
        write_whole(folder / TABLE, as_csv(jobs))
    finished = sum(one.status == DONE for one in outcomes)
    found = sum(_status(one) == FOUND for one in outcomes)
    there = f", {found} of them found" if found else ""
    out.print(f"{finished} of {len(jobs)} jobs finished{there}. Their outcomes: {folder}", markup=False, soft_wrap=True)
    wrong = {one.status for one in outcomes} - {DONE}
    return EXIT_CODES[DONE if not wrong else FAILED if FAILED in wrong else BAD_INPUT]


def twice(jobs: Jobs) -> list[str]:
    """Return a line for each run that several jobs gave, as what they differ in changes no result."""
    of_run: dict[str, list[str]] = {}
    for name, one in jobs:
        stacked = any(text.startswith("stack=") and text != "stack=0" for text in one.settings)
        if one.run is not None and not stacked:  # of a stack only its first run is named
            of_run.setdefault(one.run, []).append(name)
    told = [
        f"Jobs {', '.join(names[:-1])} and {names[-1]} are one run, {Path(run).name}: what they differ in, if "
        "anything, changes no result."
        for run, names in of_run.items() if len(names) > 1
    ]  # fmt: skip
    more = [f"So are those of {len(told) - MOST_TWICE} more runs."] if len(told) > MOST_TWICE else []
    return told[:MOST_TWICE] + more


def show_table(jobs: Jobs, common: set[str]) -> None:
    """Print a line for each job; of many, one for those that differ by their seed alone; of too many, the best."""
    if len(jobs) <= MOST:
        out.print(job_table(jobs, common))
        return
    kinds: dict[str, list[JobOutcome]] = {}
    for _, one in jobs:
        kinds.setdefault(_own(one, common, "seed="), []).append(one)
    if len(kinds) <= MOST:
        out.print(kinds_table(kinds))
        return
    best = sorted(jobs, key=lambda job: -_score(job[1]))[:BEST]
    out.print(job_table(best, common, f"the best {BEST} of {len(jobs)} jobs"))


def job_table(jobs: Jobs, common: set[str], title: str = "jobs") -> WordTable:
    """Return a table with a line for each job."""
    numbers = ("job", "score", "seconds")
    table = WordTable("job", "run", "settings", "score", "seconds", "status", numbers=numbers, title=title)
    for name, one in jobs:
        score = number(_score(one)) if one.scores else ""
        run = Path(one.run).name if one.run else ""
        table.add_row(name, run, _own(one, common), score, f"{one.seconds:.1f}", _status(one))
    return table


def kinds_table(kinds: dict[str, list[JobOutcome]]) -> WordTable:
    """Return a table with a line for all jobs that differ by their seed alone."""
    numbers = ("jobs", "finished", "lowest", "median", "highest score", "seconds")
    table = WordTable("settings", *numbers, numbers=numbers, title="jobs, by all settings but the seed")
    for settings, jobs in kinds.items():
        scores = [_score(one) for one in jobs if one.scores]
        told = [number(how(scores)) if scores else "" for how in (min, median, max)]
        finished = sum(one.status == DONE for one in jobs)
        table.add_row(settings, str(len(jobs)), str(finished), *told, f"{sum(one.seconds for one in jobs):.0f}")
    return table


def show_reasons(jobs: Jobs, common: set[str]) -> None:
    """Print why jobs failed, a line or two each."""
    wrong = [(name, one) for name, one in jobs if one.status != DONE]
    for name, one in wrong[:REASONS]:
        own = f" ({settings})" if (settings := _own(one, common)) else ""
        first, *others = one.error or [one.status]
        out.print(f"job {name}{own} {one.status}: {first}", markup=False, soft_wrap=True)
        for line in others:
            out.print(f"  {line}", markup=False, soft_wrap=True)
    if len(wrong) > REASONS:
        out.print(f"and {len(wrong) - REASONS} more that failed: {TABLE} has them all", markup=False, soft_wrap=True)


def as_csv(jobs: Jobs) -> str:
    """Return all jobs as text, a line each."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["job", "run", "settings", "score", "seconds", "status", "error"])
    for name, one in jobs:
        score = f"{_score(one):.6g}" if one.scores else ""
        row = [name, one.run or "", " ".join(one.settings), score, f"{one.seconds:.1f}", _status(one)]
        writer.writerow([*row, " ".join(one.error)])
    return text.getvalue()


def _own(one: JobOutcome, common: set[str], but: str = "\n") -> str:
    """Return the settings of a job that not all have, without those that begin with `but`."""
    return " ".join(text for text in one.settings if text not in common and not text.startswith(but))


def _score(one: JobOutcome) -> float:
    """Return the lowest score of any target; -1, the lowest of all, where there is none."""
    return min(one.scores.values(), default=-1.0)


def _status(one: JobOutcome) -> str:
    return FOUND if one.found and one.status == DONE else one.status
