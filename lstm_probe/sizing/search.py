"""The search for the smallest size that solves a task: one training after the other, where it tells most."""

import glob
import json
import logging
import math
import shutil
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import problem
from lstm_probe.core.files import check_writable, write_whole
from lstm_probe.core.numbers import number
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS
from lstm_probe.runs.store import claim, config_hash, result_config
from lstm_probe.runs.training import check_sequences, recipe_of, train_run
from lstm_probe.sizing.answer import Size, Trial, lacking, put_together
from lstm_probe.sizing.posterior import Posterior
from lstm_probe.sizing.settings import CHOSEN, SizeSettings, combined_problems, settings_of_run
from lstm_probe.sizing.stored import store
from lstm_probe.tasks import Task, get_task

log = logging.getLogger(__name__)

LEAST = 4  # trainings before an interval is believed
NARROW = 0.15  # of the answer: an interval that is no wider ends the search
PLATEAU_SEEDS = 2  # of the largest size and of half of it, where the task has no threshold of its own
LEARNABLE = 0.1  # what large networks must reach for a plateau to mean anything
TRAINED = "trained.json"


def size(
    task: str | Task,
    *,
    largest: int = 64,
    budget: int = 25,
    solved: float | None = None,
    margin: float = 0.02,
    seed: int = 0,
    outputs: str | Path = "outputs",
    **settings: Any,
) -> Size:
    """Find how many units a task needs: the smallest size that half of the trainings solve, with a 95 % interval.

    A training is a run of the run store, the same that `train` makes with `measure=none`; runs of the same settings
    that are there count first. The next one is always of the size that is expected to tell most. The search ends after
    4 trainings or more when the interval is no wider than 15 % of the answer, rounded down, or when the budget is
    spent. Repeated, it trains nothing again; stopped, it goes on.

    Args:
        task: its name, or a task with parameters of its own.
        largest: the largest size that is tried.
        budget: at most this many trainings; runs that were there before do not count.
        solved: score of every target from which on a training counts as solved; None for what the task says. Of a
            user's own data, which say nothing, it is what large networks reach (median of four, for each target) less
            the margin.
        margin: that margin.
        seed: the first seed of each size.
        outputs: the folder that holds `runs/` and `sizes/`.
        **settings: those of `train`, such as steps, lr or layers; the others at the task's or their own defaults.

    Returns:
        The answer, also for each target by itself, and what it rests on.

    Raises:
        InputError: everything that is wrong with the arguments; or large networks learn nothing of a target that has
            no threshold.
    """
    about = {"name": task} if isinstance(task, str) else {"name": task.name, **asdict(task)}  # type: ignore[call-overload]
    known = {f.name for f in fields(SizeSettings)} - {"task"}
    problems = [f"{key}={value}: {CHOSEN[key]}" for key, value in settings.items() if key in CHOSEN]
    problems += [f"{key}={value}: no such setting.{nearest(key, sorted(known))}"
                 for key, value in settings.items() if key not in known | set(CHOSEN)]  # fmt: skip
    own = {key: value for key, value in settings.items() if key in known}
    search = {"largest": largest, "budget": budget, "solved": solved, "margin": margin, "outputs": str(outputs)}
    made = SizeSettings(**{**recipe_of(str(about["name"])), **search, **own})
    problems += [line for f in fields(made) if f.name != "task" and (line := problem(f.name, f, getattr(made, f.name)))]
    if problems:
        raise InputError(*problems)
    made.task = {"name": about["name"], **asdict(get_task(**about))}  # type: ignore[call-overload]
    return find_size(made, seed=seed)


def find_size(settings: SizeSettings, *, seed: int = 0) -> Size:
    """Return how many units a task needs; see `size`.

    Args:
        settings: complete.
        seed: the first seed of each size.
    """
    search = Searching(settings, seed)
    if problems := combined_problems(settings):
        raise InputError(*problems)
    check_sequences(search.task, settings_of_run(settings, settings.largest, seed), analyses=())
    check_writable(Path(settings.outputs), "outputs")
    with search.held() as partial:
        search.look_around()
        thresholds, rule = search.thresholds()
        enough = search.train_on(thresholds)
        trials = list(search.trials.values())
        solved = {trial.run: search.solved(trial, thresholds) for trial in trials}
        found = put_together(search.task, trials, solved, thresholds, rule, enough, search.sizes, search.place)
        store(found, partial, search.question)
    return found


@dataclass
class Searching:
    """A search under way.

    Args:
        settings: complete.
        seed: the first seed of each size.
    """

    settings: SizeSettings
    seed: int
    trials: dict[tuple[int, int], Trial] = field(default_factory=dict)
    mine: set[tuple[int, int]] = field(default_factory=set)

    @cached_property
    def task(self) -> Task:
        """What is to be solved."""
        return get_task(**self.settings.task)

    @property
    def sizes(self) -> tuple[int, int]:
        """The smallest size that there can be, and the largest that is tried."""
        return self.settings.projection + 1, self.settings.largest

    @cached_property
    def experiment(self) -> dict[str, Any]:
        """What all runs of the search share."""
        shared = result_config(settings_of_run(self.settings, self.settings.largest, self.seed))
        return {key: value for key, value in shared.items() if key not in ("units", "seed", *COMMANDS)}

    @cached_property
    def question(self) -> dict[str, Any]:
        """What an answer depends on, besides the runs that there are."""
        own = {key: getattr(self.settings, key) for key in ("largest", "solved")}
        if self.settings.solved is None and not self.task.attainable:
            own["margin"] = self.settings.margin
        return {**self.experiment, **own}

    @cached_property
    def place(self) -> Path:
        """The folder of the answer."""
        return Path(self.settings.outputs) / "sizes" / self.task.name / config_hash(self.question)

    @contextmanager
    def held(self) -> Iterator[Path]:
        """Hold the place of the answer; yields the folder in which to make it, which stays if the search is stopped."""
        with claim(self.place, lambda: log.info("another process looks for it: waiting")) as partial:
            partial.mkdir(exist_ok=True)
            self._partial = partial
            self.mine = _read_trained(partial) | _read_trained(self.place)
            if self.mine:
                self._keep()
            try:
                yield partial
            finally:
                if partial.exists() and not (partial / TRAINED).exists():
                    shutil.rmtree(partial, ignore_errors=True)

    def look_around(self) -> None:
        """Take in the finished runs of the store that differ in units and seed alone."""
        store = Path(self.settings.outputs) / "runs" / self.task.name
        for run in find_runs(self.settings.outputs, pattern=f"{glob.escape(str(store))}/*")[0]:
            config = {key: value for key, value in run.config.items() if key not in COMMANDS}
            size, seed = config.pop("units"), config.pop("seed")
            if config == self.experiment and self.sizes[0] <= size <= self.sizes[1]:
                self._take(run, size, seed)
        if n := len(self.trials):
            log.info("%d run%s of the same settings %s there already", n, "s" * (n > 1), "are" if n > 1 else "is")

    def _take(self, run: Run, units: int, seed: int) -> Trial:
        info = run.info
        trial = Trial(run.name, units, seed, info["scores"], bool(info["solved"]), float(info["seconds"]["train"]),
                      (units, seed) not in self.mine)  # fmt: skip
        return self.trials.setdefault((units, seed), trial)

    def spent(self) -> bool:
        """Return whether there are as many trainings as the budget allows."""
        return len(self.mine & set(self.trials)) >= self.settings.budget

    def train(self, units: int, seed: int) -> Trial:
        """Return a training of this size and seed, which is made unless it is there."""
        if (units, seed) in self.trials:
            return self.trials[units, seed]
        measuring = Measuring((), {}, self.settings.threads, _no_page)
        run = train_run(settings_of_run(self.settings, units, seed), measuring)
        self.mine.add((units, seed))
        self._keep()
        return self._take(run, units, seed)

    def _keep(self) -> None:
        """Write down what this search has trained, so that a stopped one knows what is left of its budget."""
        write_whole(self._partial / TRAINED, json.dumps(sorted(self.mine)))

    def thresholds(self) -> tuple[dict[str, float], str]:
        """Return from what score on each target counts as solved, and why in words."""
        given, targets = self.settings.solved, self.task.targets
        if given is not None:
            return {target.name: given for target in targets}, f"solved={given:g}"
        if self.task.attainable:
            return {target.name: target.solved for target in targets}, "as the task says"
        return self._plateau()

    def _plateau(self) -> tuple[dict[str, float], str]:
        """Return for each target what large networks reach, less the margin; trained where they are not there."""
        largest, margin = self.settings.largest, self.settings.margin
        sizes = sorted({largest, max(self.sizes[0], largest // 2)})
        log.info("%s has no threshold of its own: large networks are trained first", self.task.name)
        large = []
        for seed in range(self.seed, self.seed + PLATEAU_SEEDS * (3 - len(sizes))):
            for units in sizes:
                large.append(self.train(units, seed))
                self.say(large[-1], "")
        reached = {target.name: statistics.median(trial.scores[target.name] for trial in large)
                   for target in self.task.targets}  # fmt: skip
        words = f"networks of {' and '.join(map(str, sizes))} units reach"
        problems = [
            f"{name}: {words} {number(score)} (0 is chance, 1 perfect): that is too little to ask how many units it "
            "needs; other inputs, more steps, or solved=<score> may help."
            for name, score in reached.items()
            if score < LEARNABLE + margin
        ]
        if problems:
            raise InputError(*problems)
        told = ", ".join(f"{number(score, 3)} of {name}" for name, score in reached.items())
        rule = f"{words} {told} (median of {len(large)}), less margin={margin:g}"
        return {name: score - margin for name, score in reached.items()}, rule

    def solved(self, trial: Trial, thresholds: Mapping[str, float]) -> bool:
        """Return whether a training solved every target; a task may have a rule of its own."""
        if self.settings.solved is None and self.task.attainable:
            return trial.solved
        return lacking(trial.scores, thresholds)[0] <= 0

    def train_on(self, thresholds: Mapping[str, float]) -> bool:
        """Train where it tells most until the interval is narrow; return False where the budget was spent first."""
        outcomes = [(trial.units, self.solved(trial, thresholds)) for trial in self.trials.values()]
        posterior = Posterior(*self.sizes, outcomes)
        while not narrow(posterior, len(self.trials)):
            if self.spent():
                return False
            units, seed = posterior.best_next(), self.seed
            while (units, seed) in self.trials:
                seed += 1
            trial = self.train(units, seed)
            solved = self.solved(trial, thresholds)
            posterior.see(units, solved)
            lack, target = lacking(trial.scores, thresholds)
            self.say(trial, "solved" if solved else f"{target} {thresholds[target] - lack:.4f}")
        return True

    def say(self, trial: Trial, outcome: str) -> None:
        """Log a training in a line."""
        scores = "  ".join(f"{name} {number(score)}" for name, score in trial.scores.items())
        plural = "s" if trial.units > 1 else " "
        log.info("%3d  %4d unit%s  seed %2d  %5.1f s  %s", len(self.trials), trial.units, plural, trial.seed,
                 trial.seconds, outcome or scores)  # fmt: skip


def _no_page(run: Run, folder: Path) -> None:
    """Draw nothing: `train` with the same settings measures the run and draws its page."""


def narrow(posterior: Posterior, trainings: int) -> bool:
    """Return whether a search may end, that has so many trainings."""
    median, low, high = posterior.interval()
    return trainings >= LEAST and high - low <= max(0, math.floor(NARROW * median))


def _read_trained(folder: Path) -> set[tuple[int, int]]:
    """Return the units and seeds that a search has trained; none where that is not known."""
    try:
        return {(int(units), int(seed)) for units, seed in json.loads((folder / TRAINED).read_text())}
    except (OSError, ValueError, TypeError):
        return set()
