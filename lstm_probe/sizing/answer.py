"""How many units are needed: what the trainings of a search say, for all targets together and for each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lstm_probe.core.numbers import floored, interval
from lstm_probe.core.run_columns import SIZE_CURVE_COLUMNS, SIZE_SCORE_COLUMNS, SIZE_TRIAL_COLUMNS
from lstm_probe.core.shown import Shown, SmallTable, Told
from lstm_probe.sizing.posterior import Posterior
from lstm_probe.tasks import Task

ALL = "all"


@dataclass(frozen=True)
class Trial:
    """A training, and what became of it.

    Attributes:
        run: name of the run.
        units: its size.
        seed: its seed.
        scores: of each target, on the test sequences.
        solved: whether every target was solved, as the task counts.
        seconds: that the training took.
        there: whether the run was there before the search.
    """

    run: str
    units: int
    seed: int
    scores: Mapping[str, float]
    solved: bool
    seconds: float
    there: bool


@dataclass(frozen=True, eq=False, repr=False)
class Smallest(Shown):
    """The smallest size that half of the trainings solve.

    Attributes:
        units: median of the posterior; None for more than the largest that was looked at.
        low: lower end of the 95 % interval; None likewise.
        high: upper end of the 95 % interval; None likewise.
        possible: the smallest size that any training solved; None where none did.
        curve: columns `SIZE_CURVE_COLUMNS`, a row for each size.
        sentence: the answer in words.
    """

    units: int | None
    low: int | None
    high: int | None
    possible: int | None
    curve: pd.DataFrame
    sentence: str

    def _told(self) -> Told:
        tried = self.curve[self.curve["tried"] > 0]
        rows = [(int(row["units"]), f"{row['solved']} of {row['tried']}", float(row["p_solved"]),
                 interval(row["ci_low"], row["ci_high"])) for _, row in tried.iterrows()]  # fmt: skip
        header = ("units", "solved", "how often it would be", "95 % interval")
        return Told(self.sentence, tables=[SmallTable(header, rows, "Trainings, by size")])


@dataclass(frozen=True, eq=False, repr=False)
class Size(Smallest):
    """How many units a task needs, as `lstm_probe.size` finds it.

    Attributes:
        task: name of the task.
        largest: the largest size that was looked at.
        trials: columns `SIZE_TRIAL_COLUMNS`, a row for each training.
        scores: columns `SIZE_SCORE_COLUMNS`, a row for each training and target.
        targets: the same answer for each target by itself, from the same trainings.
        thresholds: from what score on each target counts as solved.
        rule: where the thresholds come from, in words.
        narrow: whether the search ended because the interval was narrow, not because the budget was spent.
        trained: how many trainings the search made; the other trials were there before.
        seconds: that these took.
        path: the folder of the answer.
    """

    task: str
    largest: int
    trials: pd.DataFrame
    scores: pd.DataFrame
    targets: Mapping[str, Smallest]
    thresholds: Mapping[str, float]
    rule: str
    narrow: bool
    trained: int
    seconds: float
    path: Path

    def _told(self) -> Told:
        told = super()._told()
        each = [one.sentence for one in self.targets.values()] if len(self.targets) > 1 else []
        more = [*each, f"Counts as solved: {self.rule}"]
        below = [".units .low .high .possible; tables .curve .trials .scores; .targets has the answer for each"]
        return replace(told, lines=[took_words(self), str(self.path)], more=more, below=below)


def units_words(n: int) -> str:
    """Return a number of units in words.

    >>> units_words(1), units_words(6)
    ('1 unit', '6 units')
    """
    return f"{n} unit{'s' * (n != 1)}"


def _smallest(outcomes: Sequence[tuple[int, bool]], sizes: tuple[int, int], target: str = ALL) -> Smallest:
    """Return the answer that outcomes (units, solved) give, without its sentence."""
    posterior = Posterior(*sizes, outcomes)
    units, low, high = (None if n > sizes[1] else n for n in posterior.interval())
    tried = pd.DataFrame(outcomes, columns=["units", "solved"]).astype({"units": int, "solved": bool})
    counts = tried.groupby("units")["solved"].agg(["size", "sum"])
    every = range(sizes[0], sizes[1] + 1)
    tried_solved = counts.reindex(every, fill_value=0).astype(int)
    mean, lower, upper = posterior.curve()
    curve = pd.DataFrame(
        {"target": target, "units": every, "p_solved": mean, "ci_low": lower, "ci_high": upper,
         "tried": tried_solved["size"].to_numpy(), "solved": tried_solved["sum"].to_numpy()},
        columns=list(SIZE_CURVE_COLUMNS),
    )  # fmt: skip
    possible = min((size for size, solved in outcomes if solved), default=None)
    return Smallest(units, low, high, possible, curve, "")


def took_words(found: "Size") -> str:
    """Return what an answer took."""
    there = len(found.trials) - found.trained
    words = f"{found.trained} training{'s' * (found.trained != 1)}, {found.seconds:.0f} s"
    return words + (f", beside {there} run{'s' * (there != 1)} that were there" if there else "")


def interval_words(low: int | None, high: int | None, largest: int) -> str:
    """Return an interval of sizes.

    >>> interval_words(5, 10, 64), interval_words(50, None, 64), interval_words(None, None, 64)
    ('5 to 10', '50 to more than 64', 'more than 64')
    """
    if low is None:
        return f"more than {largest}"
    return f"{low} to {f'more than {largest}' if high is None else high}"


def _share(solved: int, tried: int) -> str:
    return f"{solved or 'none'} of {tried} seed{'s' * (tried != 1)}"


def shown_words(found: Smallest) -> str:
    """Return how many units trainings showed, or a bound; "" where they showed nothing.

    Where the interval has the smallest size in it, none was shown to be too small; where it goes beyond the largest,
    none to be enough.
    """
    if found.low is None:
        return f"more than {units_words(int(found.curve['units'].max()))}"
    if found.low == int(found.curve["units"].min()) != found.high:
        return "" if found.high is None else f"at most {units_words(found.high)}"
    return units_words(found.units) if found.units and found.high else f"at least {units_words(found.low)}"


def size_sentence(name: str, found: Smallest, nearest: str) -> str:
    """Return how many units a task needs.

    Args:
        name: what needs them.
        found: the answer; its own sentence is not read.
        nearest: what came nearest, where nothing solved it.
    """
    curve, largest = found.curve, int(found.curve["units"].max())
    tried = curve[curve["tried"] > 0].set_index("units")[["solved", "tried"]].astype(int)
    interval = f"95 % interval {interval_words(found.low, found.high, largest)}"
    solved, of = int(tried["solved"].sum()), int(tried["tried"].sum())
    if found.units is None:
        many = f"{solved or 'none'} of {of} training{'s' * (of != 1)} solved it"
        sure = "is solved by half of the trainings at no size"
        unsure = "was not found to be solved by half of the trainings at any size"
        words = f"{name} {sure if found.low is None else unsure} of up to {units_words(largest)}"
        return f"{words} ({interval}): {many}; {nearest}"
    shown = shown_words(found)
    if not shown:
        share = f"{solved or 'none'} of {of} training{'s' * (of != 1)} solved it"
        return f"How many units {name} needs is not told ({interval}): {share}"
    if found.possible is not None and found.possible < found.units:
        share = _share(*tried.loc[found.possible])
        further = f"; {found.possible} {'was' if found.possible == 1 else 'were'} enough in {share}"
    else:
        smaller = tried.index[tried.index < found.units]
        further = ""
        if len(smaller):
            share = _share(*tried.loc[smaller[-1]])
            further = f"; {smaller[-1]} {'was' if smaller[-1] == 1 else 'were'} enough in {share}"
    return f"{name} needs {shown} ({interval}{further})"


def target_sentence(name: str, found: Smallest) -> str:
    """Return how many units one of several targets needs, as far as that was shown."""
    span = interval_words(found.low, found.high, int(found.curve["units"].max()))
    return f"{name}: {shown_words(found) or 'not told'} ({span})"


def nearest_words(trials: Iterable[Trial], thresholds: Mapping[str, float]) -> str:
    """Return how near a search came in which nothing was solved: the training whose worst target lacked least."""
    nearest = min(trials, key=lambda trial: (*lacking(trial.scores, thresholds), -trial.units), default=None)
    if nearest is None:
        return "nothing was tried"
    target = lacking(nearest.scores, thresholds)[1]
    score, least = floored(nearest.scores[target]), f"{thresholds[target]:.3g}"
    return f"the nearest was {units_words(nearest.units)} with {score} of {target}, of which {least} counts as solved"


def lacking(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> tuple[float, str]:
    """Return how much the target that lacks most does, below 0 where it is solved, and its name."""
    return max((threshold - scores[target], target) for target, threshold in thresholds.items())


def put_together(
    task: Task, trials: Sequence[Trial], solved: Mapping[str, bool], thresholds: Mapping[str, float], rule: str,
    narrow: bool, sizes: tuple[int, int], path: Path,
) -> Size:  # fmt: skip
    """Return what trainings say, for all targets and for each.

    Args:
        task: what was trained on.
        trials: the trainings.
        solved: whether each of them, by its run, solved every target.
        thresholds: from what score on each target counts as solved.
        rule: where the thresholds come from.
        narrow: whether the interval is narrow enough.
        sizes: the smallest and the largest that were looked at.
        path: the folder of the answer.
    """
    ordered = sorted(trials, key=lambda trial: (trial.units, trial.seed))
    targets = {}
    for name, least in thresholds.items():
        found = _smallest([(trial.units, trial.scores[name] >= least) for trial in ordered], sizes, name)
        targets[name] = replace(found, sentence=target_sentence(name, found))
    whole = _smallest([(trial.units, solved[trial.run]) for trial in ordered], sizes)
    sentence = size_sentence(task.name, whole, nearest_words(ordered, thresholds))
    made = [trial for trial in ordered if not trial.there]
    return Size(
        **{**vars(whole), "sentence": sentence}, task=task.name, largest=sizes[1],
        trials=_trial_table(task.name, ordered, thresholds, solved),
        scores=_score_table(task.name, ordered, thresholds),
        targets=targets, thresholds=thresholds, rule=rule, narrow=narrow, trained=len(made),
        seconds=round(sum(trial.seconds for trial in made), 3), path=path,
    )  # fmt: skip


def _trial_table(
    task: str, trials: Sequence[Trial], thresholds: Mapping[str, float], solved: Mapping[str, bool]
) -> pd.DataFrame:
    worst = [lacking(trial.scores, thresholds)[1] for trial in trials]
    rows = [
        (trial.run, task, trial.units, trial.seed, solved[trial.run], trial.scores[name], name,
         trial.seconds, trial.there)
        for trial, name in zip(trials, worst)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(SIZE_TRIAL_COLUMNS))


def _score_table(task: str, trials: Sequence[Trial], thresholds: Mapping[str, float]) -> pd.DataFrame:
    rows = [
        (trial.run, task, trial.units, trial.seed, name, trial.scores[name], least, trial.scores[name] >= least)
        for trial in trials
        for name, least in thresholds.items()
    ]
    return pd.DataFrame(rows, columns=list(SIZE_SCORE_COLUMNS))
