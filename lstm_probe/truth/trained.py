"""Trained networks with a known map: which unit carries which signal, where the training forced it; and plain ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.truth import Truth, brute_force
from lstm_probe.tasks import Task, get_task

FOLDER = Path(__file__).with_name("networks")
INDEX = "networks.json"
#: That the truth is computed on.
SEQUENCES = 32
#: A squared correlation of c with what a unit carries below which it is not c that holds it.
KEPT = 0.5

#: A task's name and parameters.
_Named = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """How networks of a kind are trained.

    Attributes:
        name: of the kind.
        task: by name and parameters.
        units: how many the networks have.
        flips: by target: the input line that it flips with, if any; see `train_map`.
        wanted: how many of them there are.
        mapped: whether a unit is to carry each target; if not, they are trained on the task alone.
        largest: how many units the sets have at most that are tried for the truth.
    """

    name: str
    task: _Named
    units: int
    flips: Mapping[str, str] = field(default_factory=dict)
    wanted: int = 4
    mapped: bool = True
    largest: int = 3

    def make_task(self) -> Task:
        """Return the task."""
        name, parameters = self.task
        return get_task(name, **parameters)


_TRACKING: _Named = ("tracking", {})
_COMPOSE: _Named = ("compose", {"parts": ["flipflop:bits=3,rate=0.2,length=40", "parity:rate=0.2,length=40"]})

RECIPES = {recipe.name: recipe for recipe in (
    Recipe("tracking, 16 units", _TRACKING, 16, {"parity": "flip"}),
    Recipe("tracking, 32 units", _TRACKING, 32, {"parity": "flip"}, largest=2),
    Recipe("compose, 16 units", _COMPOSE, 16, {"parity.parity": "parity.bit"}),
    Recipe("plain, 16 units", _TRACKING, 16, wanted=2, mapped=False),
)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, and the truth of it.

    Attributes:
        model: of one layer.
        recipe: how it was trained.
        seed: of its training.
        units: by target: the unit that carries it; empty for a network that was trained on the task alone.
        gate: the table of `gate`; of a network that was trained on the task alone, its targets and r2.
        truth: which units its outputs need, by brute force, on average over steps: it has one step.
    """

    model: SequenceModel
    recipe: Recipe
    seed: int
    units: Mapping[str, int]
    gate: pd.DataFrame
    truth: Truth

    @cached_property
    def task(self) -> Task:
        """What it was trained on."""
        return self.recipe.make_task()

    def sample(self, n: int, seed: int = 0) -> Batch:
        """Return `n` sequences of its task; all targets are numbers, as which they were trained."""
        return as_numbers(self.task.sample(n, seed))

    @cached_property
    def holds(self) -> pd.DataFrame:
        """Which unit's c holds which target: layer, unit, name, label, answer (None: nothing is asked).

        "holds": the unit carries it, in c. "in h": it carries it, but c says little of it. "none": it carries another
        one. "echoes": it carries none, and may well tell of what others carry; or nothing is known of the network but
        what interventions say.
        """
        made = self._pairs("holds", "none", "echoes", None)
        if self.units:
            hidden = self.gate.loc[self.gate["in_c"] < KEPT, "unit"]
            made.loc[(made["label"] == "holds") & made["unit"].isin(hidden), ["label", "answer"]] = "in h", None
        return made

    @cached_property
    def carries(self) -> pd.DataFrame:
        """Which unit carries which target onward, as swaps of its states show: layer, unit, name, label, answer.

        "carries": outputs follow what another sequence's state of the unit says. "echoes": it carries none. "none": it
        carries another one. Of a network that was trained on the task alone: what `Truth.labels` says, "unclear" where
        a swap costs some, but less than counts.
        """
        if self.units:
            return self._pairs("carries", "none", "echoes", False)
        found = self.truth.labels
        answers = found["carries"].astype(object).where(found["carries"].notna(), None)
        label = answers.map({True: "carries", False: "none", None: "unclear"})
        return found[["layer", "unit"]].assign(name=found["target"], label=label, answer=answers)

    def _pairs(self, own: str, other: str, free: str, answer: bool | None) -> pd.DataFrame:
        rows = []
        for unit in range(self.recipe.units):
            for target in self.task.targets:
                if unit not in self.units.values():
                    rows.append((0, unit, target.name, free, answer))
                else:
                    mine = self.units[target.name] == unit
                    rows.append((0, unit, target.name, own if mine else other, mine))
        return pd.DataFrame(rows, columns=["layer", "unit", "name", "label", "answer"]).astype({"answer": object})


def as_numbers(batch: Batch) -> Batch:
    """Return a batch each of whose targets is compared by squared error."""
    return replace(batch, target_specs=tuple(Target(spec.name) for spec in batch.target_specs))


def truth_of(model: SequenceModel, recipe: Recipe, seed: int) -> Truth:
    """Return which units a network's outputs need, by brute force, on average over steps."""
    batch = recipe.make_task().sample(SEQUENCES, derive_seed(seed, "truth"))
    return averaged(brute_force(model, batch, largest=recipe.largest, seed=seed))


def averaged(truth: Truth) -> Truth:
    """Return a truth of one step: what each set costs on average, of a swap from it on."""
    means = {}
    for one in fields(Truth):
        values = getattr(truth, one.name)
        if isinstance(values, np.ndarray) and values.ndim == 3:
            start = truth.at if one.name == "swapped" else 0
            means[one.name] = values[..., start:].mean(-1, keepdims=True)
    return replace(truth, at=0, **means)


def write_network(
    folder: Path, recipe: Recipe, seed: int, model: SequenceModel, units: Mapping[str, int], gate: pd.DataFrame,
    truth: Truth,
) -> dict[str, Any]:  # fmt: skip
    """Write a network's weights and truth into a folder; return its entry in the index.

    Args:
        folder: that is there.
        recipe, seed, model, units, gate, truth: as of `Trained`.
    """
    name = f"{recipe.name.replace(', ', '-').replace(' ', '-')}-{seed}.safetensors"
    arrays = {one.name: getattr(truth, one.name) for one in fields(Truth)}
    tensors = {f"truth.{key}": torch.from_numpy(values.astype(np.float32)) for key, values in arrays.items()
               if isinstance(values, np.ndarray)}  # fmt: skip
    tensors |= {f"model.{key}": values.contiguous() for key, values in model.state_dict().items()}
    (folder / name).write_bytes(save(tensors))
    figures = json.loads(gate.round(5).to_json(orient="records"))
    return {"file": name, "recipe": recipe.name, "seed": seed, "units": dict(units), "gate": figures}


def _part(folder: Path, entry: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    tensors = load_file(folder / entry["file"])
    return {key.removeprefix(prefix): values for key, values in tensors.items() if key.startswith(prefix)}


def read_model(folder: Path, entry: Mapping[str, Any]) -> SequenceModel:
    """Return the network of an entry, without its truth."""
    recipe = RECIPES[entry["recipe"]]
    task = recipe.make_task()
    model = SequenceModel(task.n_inputs, task.n_outputs, recipe.units)
    model.load_state_dict(_part(folder, entry, "model."))
    return model.eval()


def read_network(folder: Path, entry: Mapping[str, Any]) -> Trained:
    """Return the network that `write_network` wrote."""
    recipe = RECIPES[entry["recipe"]]
    places = [(0, unit) for unit in range(recipe.units)]
    sets = tuple(frozenset(own) for size in range(recipe.largest + 1) for own in combinations(places, size))
    arrays = {key: values.double().numpy() for key, values in _part(folder, entry, "truth.").items()}
    names = tuple(target.name for target in recipe.make_task().targets)
    truth = Truth(units=tuple(places), sets=sets, targets=names, at=0, **arrays)
    model, table = read_model(folder, entry), pd.DataFrame(entry["gate"])
    return Trained(model, recipe, entry["seed"], entry["units"], table, truth)


def read_index(folder: Path = FOLDER) -> dict[str, Any]:
    """Return what a folder of networks says of them: "networks", and of each recipe the seeds that were tried."""
    index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return index


def trained_networks(recipe: str | None = None) -> list[Trained]:
    """Return the trained networks of this package.

    Args:
        recipe: of which kind, such as "tracking, 16 units"; None for all.

    Raises:
        InputError: there are none of that kind.

    >>> import lstm_probe as lp
    >>> net = lp.truth.trained_networks("tracking, 16 units")[0]
    >>> sorted(net.units), net.model.lstm.hidden_size
    (['count', 'latch', 'leak', 'parity', 'since'], 16)
    >>> labels = net.truth.labels.set_index(["unit", "target"]).label
    >>> [labels[unit, target] for target, unit in net.units.items()]
    ['alone', 'alone', 'alone', 'alone', 'alone']
    """
    if recipe is not None and recipe not in RECIPES:
        raise InputError(f"recipe={recipe}: there is none.{nearest(recipe, list(RECIPES))} "
                         f"There are {', '.join(RECIPES)}")  # fmt: skip
    entries = read_index()["networks"]
    return [read_network(FOLDER, entry) for entry in entries if recipe in (None, entry["recipe"])]
