"""The runs that the answer is made of: found in the store, or made."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lstm_probe.core.console import console
from lstm_probe.core.fields import default_of
from lstm_probe.network.settings import Recipe
from lstm_probe.reproduce import NUM_UNITS
from lstm_probe.reproduce.networks import run_settings
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.reproduce.store import Reproduction, reproduce
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import RunSettings
from lstm_probe.runs.training import train_run
from lstm_probe.sizing.answer import Size
from lstm_probe.sizing.search import find_size
from lstm_probe.sizing.settings import SizeSettings

log = logging.getLogger(__name__)

#: The result that shows how many numbers so many units can hold, and that of the character model.
LAW, SOURCE = "recall", "python_source"
_LARGEST = next(f for f in fields(SizeSettings) if f.name == "largest")


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Args:
        network: the settings of the networks that are compared, whatever their size and seed.
        text: the settings of the character model.
        sizes: of the networks, in any order.
        seeds: so many networks of each size, seeds 0, 1, ...
        budget: at most so many trainings of the search for the smallest size.
        force: whether what is there is made again.
    """

    network: RunSettings
    text: RunSettings
    sizes: Sequence[int]
    seeds: int
    budget: int = 25
    force: bool = False

    @property
    def runs(self) -> list[RunSettings]:
        """The settings of every network that is compared, by size and seed."""
        return [replace(self.network, units=units, seed=seed, force=self.force)
                for units in sorted(self.sizes) for seed in range(self.seeds)]  # fmt: skip

    @property
    def search(self) -> SizeSettings:
        """The settings of the search: the same trainings, so that those of the networks count."""
        shared = {f.name: getattr(self.network, f.name) for f in fields(Recipe)}
        others = {key: getattr(self.network, key) for key in ("test_sequences", "threads", "outputs")}
        largest = max(default_of(_LARGEST), *self.sizes)
        return SizeSettings(task=self.network.task, largest=largest, budget=self.budget, **shared, **others)


@dataclass(frozen=True)
class Material:
    """What the answer is made of.

    Attributes:
        runs: the networks that are compared, by size and seed.
        text: the character model.
        law: how much of eight numbers networks of fewer and of as many units recall.
        size: what the search for the smallest size found.
        outputs: the folder that holds `runs/`.
    """

    runs: Sequence[Run]
    text: Run
    law: Reproduction
    size: Size
    outputs: Path

    @property
    def networks(self) -> list[Run]:
        """All networks, the character model last."""
        return [*self.runs, self.text]

    @property
    def sizes(self) -> list[int]:
        """The sizes that are compared, the smallest first."""
        return sorted({run.info["units"] for run in self.runs})

    def of_size(self, units: int) -> list[Run]:
        """Return the networks of a size, by seed."""
        return [run for run in self.runs if run.info["units"] == units]

    @property
    def seeds(self) -> int:
        """How many networks of each size there are."""
        return len({run.info["seed"] for run in self.runs})


def plan(sizes: Sequence[int], seeds: int, outputs: Path, threads: int = 1) -> Plan:
    """Return what is trained for the answer: the networks of conf/experiment/num_units.yaml, and python_source.yaml."""
    return Plan(run_settings(NUM_UNITS, outputs, threads), run_settings(SOURCE, outputs, threads), sizes, seeds)


def make(plan: Plan, measuring: Callable[[RunSettings], Measuring]) -> Material:
    """Return all runs, searches and measurements of the answer; what is there already is not made again.

    Args:
        plan: what is wanted.
        measuring: says what is measured on a run of some settings.
    """
    outputs, count = Path(plan.network.outputs), len(plan.runs) + 3
    made = []
    for k, one in enumerate(plan.runs):
        _say(k, count, f"{one.units} unit{'s' * (one.units > 1)}, seed {one.seed}")
        made.append(train_run(one, measuring(one)))
    law = RESULTS[LAW]
    _say(count - 3, count, f"{law.key}: {law.title}")
    with console.status(law.title):
        recalled = reproduce(law, outputs, plan.seeds, plan.force)
    _say(count - 2, count, f"how many units {plan.network.task['name']} needs: up to {plan.budget} trainings")
    size = find_size(plan.search)
    _say(count - 1, count, f"a character model of {plan.text.units} units on Python source")
    text = train_run(replace(plan.text, force=plan.force), measuring(plan.text))
    return Material(made, text, recalled, size, outputs)


def _say(k: int, count: int, what: str) -> None:
    log.info("%d of %d: %s", k + 1, count, what)
