"""What a result is, and the one rule by which it counts as reproduced."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_probe.core.quantiles import student
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS

Judgement = Literal["reproduced", "partly", "not reproduced"]


@dataclass(frozen=True)
class Measure:
    """One number that is measured in every seed.

    Args:
        name: what it is called in the results' files.
        meaning: what it is, in a few words.
        published: what the source says of it; "–" for nothing.
        line: the published number, where there is one.
        least: the goal: a seed has to reach at least this. With neither `least` nor `most`, it is only shown.
        most: the goal: a seed may reach at most this.
        low: the smallest possible value.
        high: the largest possible value.
    """

    name: str
    meaning: str
    published: str = "–"
    line: float | None = None
    least: float | None = None
    most: float | None = None
    low: float = 0.0
    high: float = 1.0

    @property
    def is_goal(self) -> bool:
        """Return whether the verdict depends on it."""
        return self.least is not None or self.most is not None

    def met(self, value: float) -> bool:
        """Return whether a value reaches the goal; NaN never does.

        >>> Measure("accuracy", "", least=0.9).met(0.95), Measure("attractors", "", least=8, most=8).met(9)
        (True, False)
        """
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        return least <= value <= most

    @property
    def goal(self) -> str:
        """Return the goal in words, such as "accuracy ≥ 0.9"."""
        if self.least is not None and self.least == self.most:
            return f"{self.name} = {self.least:g}"
        limits = (("≥", self.least), ("≤", self.most))
        return " and ".join(f"{self.name} {sign} {limit:g}" for sign, limit in limits if limit is not None)

    def interval(self, values: Sequence[float]) -> tuple[float, float]:
        """Return the 95 % interval of the mean over seeds, by Student's t; NaN for fewer than `FEWEST_SEEDS`.

        >>> [round(end, 3) for end in Measure("m", "", high=9.0).interval([1.0, 2.0, 3.0, 2.0, 2.0])]
        [1.122, 2.878]
        """
        if len(values) < FEWEST_SEEDS:
            return math.nan, math.nan
        array = np.asarray(values, dtype=float)
        half = student(0.975, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array))
        return max(self.low, float(array.mean() - half)), min(self.high, float(array.mean() + half))


@dataclass(frozen=True)
class Result:
    """A published result.

    Args:
        key: its name.
        title: what it says, in one line.
        source: who published it.
        published: what they found, in words.
        computed: how it is computed here, and how that differs.
        measures: what is measured in every seed; the first one with a goal is the main one.
        measure: returns every measure's value for a seed.
        seconds: about how long a seed takes on one core.
        needed: the share of the seeds that have to meet all goals.
        trained: whether networks are trained, with the settings of conf/experiment/<key>.yaml.
        most_seeds: more seeds than these are not tried, because they take too long.
        tried: what else was tried, where it does not come out.
    """

    key: str
    title: str
    source: str
    published: str
    computed: str
    measures: tuple[Measure, ...]
    measure: Callable[[int], Mapping[str, float]]
    seconds: float
    needed: float = 1.0
    trained: bool = True
    most_seeds: int = 1000
    tried: str = ""

    @property
    def goals(self) -> tuple[Measure, ...]:
        """Return the measures that the verdict depends on, the main one first."""
        return tuple(measure for measure in self.measures if measure.is_goal)

    @property
    def rule(self) -> str:
        """Return the rule of the verdict in words."""
        main, every = self.goals[0].goal, ", ".join(goal.goal for goal in self.goals)
        share = "every seed" if self.needed == 1 else f"at least {self.needed:.0%} of the seeds".replace("%", " %")
        partly = f"partly: fewer, or not all of these, but {main} in one seed at least"
        return f"reproduced: {every}, in {share}; {partly}"

    def seeds(self, wanted: int) -> range:
        """Return the seeds to measure where this many are wanted."""
        return range(min(wanted, self.most_seeds))

    def judge(self, seeds: Sequence[Mapping[str, float]]) -> Judgement:
        """Return the verdict over the values of all seeds, one mapping for each.

        reproduced: at least the share `needed` of the seeds meets every goal. partly: fewer do, but the main goal
        is met in one seed at least. not reproduced: no seed meets the main goal.
        """
        whole = sum(all(goal.met(values[goal.name]) for goal in self.goals) for values in seeds)
        if seeds and whole >= self.needed * len(seeds) - 1e-9:
            return "reproduced"
        main = self.goals[0]
        return "partly" if any(main.met(values[main.name]) for values in seeds) else "not reproduced"
