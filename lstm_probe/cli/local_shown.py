"""What is shown of a sweep while it runs: a line for each job that is running, and one for the sweep.

Where there is no terminal, plain lines now and then.
"""

import heapq
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from lstm_probe.cli.jobs import DONE, JobOutcome
from lstm_probe.core.console import Doing, console, say
from lstm_probe.core.numbers import number

BETWEEN_LINES = 10.0  # seconds, where there is no terminal
WORDS, BAR, SCORE = 20, 10, 10  # columns
WITH_SCORES = 60  # columns from which on there is room for a score


@dataclass
class Job:
    """A job of a sweep.

    Attributes:
        number: it has in the sweep.
        overrides: it is composed with.
        settings: what of them makes it this job.
        size: of its network, in units.
        started: when, by the monotonic clock; None before.
        doing: what it said last.
        outcome: what became of it; None before it has ended.
    """

    number: int
    overrides: list[str]
    settings: list[str]
    size: float = 1.0
    started: float | None = None
    doing: Doing | None = None
    outcome: JobOutcome | None = None

    @property
    def running(self) -> bool:
        """Whether it has begun and has not ended."""
        return self.started is not None and self.outcome is None


def time_left(jobs: Sequence[Job], side_by_side: int, now: float) -> float | None:
    """Return the seconds until all jobs are done, or None while no job has shown how long one takes.

    A job is taken to last as long as those on average that are done and made a network of its size, or of the nearest
    size; a run that was there already says nothing. What is left goes, the largest first, to whichever worker is free
    first.
    """
    took: dict[float, list[float]] = {}
    for job in jobs:
        if job.outcome is not None and job.outcome.status == DONE and not job.outcome.found:
            took.setdefault(job.size, []).append(job.outcome.seconds)
    if not took:
        return None

    def lasts(size: float) -> float:
        nearest = min(took, key=lambda own: (abs(math.log(max(own, 1) / max(size, 1))), -own))
        return sum(took[nearest]) / len(took[nearest])

    ends = [max(0.0, lasts(job.size) - (now - job.started)) for job in jobs if job.running and job.started is not None]
    ends += [0.0] * (side_by_side - len(ends))
    heapq.heapify(ends)
    for job in sorted((job for job in jobs if job.started is None), key=lambda job: -job.size):
        heapq.heappush(ends, heapq.heappop(ends) + lasts(job.size))
    return max(ends, default=0.0)


def about(seconds: float) -> str:
    """Return a time as people say it.

    >>> about(8), about(80), about(600), about(9000), about(200_000)
    ('10 s', '1.5 min', '10 min', '2.5 h', '2.5 days')
    """
    for unit, size, step in (("s", 1, 10), ("min", 60, 0.5), ("h", 3600, 0.5), ("days", 86400, 0.5)):
        rounded = max(step, round(seconds / size / step) * step)
        if rounded < {"s": 60, "min": 60, "h": 48}.get(unit, math.inf):
            return f"{rounded if unit == 's' or rounded < 10 else round(rounded):g} {unit}"
    raise AssertionError


def common_settings(all_settings: Sequence[Sequence[str]]) -> set[str]:
    """Return the settings that all of several jobs have."""
    return set.intersection(*map(set, all_settings)) if len(all_settings) > 1 else set()


class Shown:
    """Shows a sweep; use as a context.

    Args:
        jobs: all of them.
        side_by_side: how many run at a time.
    """

    def __init__(self, jobs: Sequence[Job], side_by_side: int) -> None:
        self.jobs, self.side_by_side = jobs, side_by_side
        self._common = common_settings([job.settings for job in jobs])
        self._last = time.monotonic()
        self._live = Live(self, console=console, transient=True, redirect_stdout=False, refresh_per_second=4)

    def __enter__(self) -> "Shown":
        if console.is_terminal:
            self._live.start()
        else:
            say(f"{len(self.jobs)} jobs, {self.side_by_side} at a time.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def own(self, job: Job) -> str:
        """Return what makes this job another than the others."""
        return " ".join(text for text in job.settings if text not in self._common)

    def line(self, text: str, to_out: bool = False) -> None:
        """Print lines that a job wrote, above what is shown."""
        if to_out and not (console.is_terminal and sys.stdout.isatty()):
            print(text, flush=True)
        else:
            say(text)

    def begun(self, job: Job) -> None:
        """Say which job has begun."""
        if not console.is_terminal:
            say(f"[job {job.number}] {self.own(job)}")

    def ended(self, job: Job) -> None:
        """Take note of a job that has ended."""
        if not console.is_terminal:
            self._last = -math.inf
            self.now_and_then(running=False)

    def now_and_then(self, running: bool = True) -> None:
        """Where there is no terminal, print a line for the sweep, and one for each job that is running."""
        now = time.monotonic()
        if console.is_terminal or now - self._last < BETWEEN_LINES:
            return
        self._last = now
        for job in self.jobs if running else ():
            if job.running and job.doing is not None:
                say(f"[job {job.number}] {self.own(job)}: {in_words(job.doing)}")
        say(self.in_short())

    def in_short(self) -> str:
        """Return a line on the sweep."""
        ended = [job.outcome for job in self.jobs if job.outcome is not None]
        failed = sum(one.status != DONE for one in ended)
        left = time_left(self.jobs, self.side_by_side, time.monotonic())
        parts = [f"{len(ended)} of {len(self.jobs)} jobs done"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"about {about(left)} left"] if left and len(ended) < len(self.jobs) else []
        return ", ".join(parts)

    def __rich_console__(self, terminal: Console, options: ConsoleOptions) -> Iterator[Text]:
        running = [job for job in self.jobs if job.running]
        room = max(1, options.size.height - 3)
        for job in running[:room]:
            yield self._line_of(job, options.max_width)
        if len(running) > room:
            yield Text(f"and {len(running) - room} more")
        ended = sum(job.outcome is not None for job in self.jobs)
        line = bar(ended, len(self.jobs)).append(" ").append(self.in_short(), "bold")
        line.truncate(options.max_width, overflow="ellipsis")
        yield line

    def _line_of(self, job: Job, width: int) -> Text:
        """Return a job's settings, what it does, how far it is, and its score where there is room for that."""
        doing = job.doing or Doing("starting")
        name, words = Text(f"{job.number}: {self.own(job)}"), Text(doing.words)
        scored = width >= WITH_SCORES
        room = WORDS if scored else WORDS // 2
        left = width - room - BAR - 2 - (SCORE + 1 if scored else 0)
        name.truncate(max(left, 1), overflow="ellipsis", pad=True)
        words.truncate(room, overflow="ellipsis", pad=True)
        line = Text.assemble(name, " ", words, " ", bar(doing.done, doing.of) if doing.of else " " * BAR)
        if scored and doing.score is not None:
            line.append(f" score {number(doing.score)}")
        line.truncate(width)
        return line


def bar(done: int, of: int) -> Text:
    """Return a bar that is filled as far as something is done."""
    filled = BAR * min(done, of) // max(of, 1)
    return Text("━" * filled, "cyan").append("━" * (BAR - filled), "dim")


def in_words(doing: Doing) -> str:
    """Return what is being done, in a line.

    >>> in_words(Doing("training", 40, 1000, 0.5)), in_words(Doing("drawing"))
    ('training, step 40 of 1000, score 0.50', 'drawing')
    """
    steps = f", step {doing.done} of {doing.of}" if doing.of else ""
    return f"{doing.words}{steps}" + ("" if doing.score is None else f", score {number(doing.score)}")
