"""How a training is shown while it runs."""

import logging
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from lstm_probe.core.console import Doing, console, tell, watched
from lstm_probe.core.errors import clean
from lstm_probe.core.numbers import number
from lstm_probe.network import training
from lstm_probe.network.stacked import StackProgress

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 2.0


class TrainingProgress:
    """A bar with loss, each target's score and the time left; a line now and then where there is no terminal.

    Every evaluation goes to the run's log. Where another process shows what this one does, it is told instead.
    """

    def __init__(self, run: str, task: str, steps: int) -> None:
        self._title = f"{run} on {task}"
        self._last_line = time.monotonic()
        # Where the line is too long for the terminal, it is the scores that are cut.
        name = TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=len(run)))
        count = MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(steps)) + 1))
        left = TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5))
        scores = TextColumn("{task.fields[scores]}", table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._bar = Progress(
            name, BarColumn(10, table_column=Column(min_width=10)), count, left, scores,
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._job = self._bar.add_task(run, total=steps, scores="")

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        log.debug("training %s", self._title)
        tell(Doing("training"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def report(self, progress: training.Progress | StackProgress) -> None:
        """Show where the training stands; of a stack, how many of its networks are still trained, are done, failed."""
        if isinstance(progress, StackProgress):
            told = f"{progress.training} training  {progress.done} done"
            told += f"  {progress.failed} failed" if progress.failed else ""
        else:
            told = "  ".join(f"{clean(name)} {number(score)}" for name, score in progress.scores.items())
        words = f"loss {progress.loss:.4f}  {told}"
        lowest = None if isinstance(progress, StackProgress) else min(progress.scores.values(), default=None)
        self._bar.update(self._job, completed=progress.step, scores=words)
        line = f"step {progress.step}/{progress.steps}  {words}"
        tell(Doing("training", progress.step, progress.steps, lowest))
        due = time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES
        if due and not console.is_terminal and not watched():
            self._last_line = time.monotonic()
            log.info("%s: %s", self._title, line)
        else:
            log.debug(line)
