"""Networks that are trained so that a given unit carries a given signal, and the gate that says whether it does.

At a random step some units' states are taken from another sequence, and the outputs shall follow: what each unit
carries goes on from there as the other sequence's would, and all else as the sequence's own (interchange intervention
training, Geiger et al. 2022; strict, Gupta et al. 2024: the units without a signal are swapped too, and nothing may
change).
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.recorder import record
from lstm_probe.tasks.base import Task

#: What a network must reach, for every target; and what it must not exceed.
LEAST = {"follow": 0.99, "follow_together": 0.99, "r2": 0.995}
MOST = {"free": 0.005, "side": 0.005}
#: How steep the gates of a unit are that begins as a parity, and what tanh(1) is about.
STEEPNESS, ONE = 8.0, 0.76


def problems_of(task: Task) -> list[str]:
    """Return why a network can't be trained by interchange on a task; empty if it can.

    The task must say its targets for spliced inputs, each target must be a number, and all sequences as long.
    """
    batch = task.sample(2)
    if any(spec.size != 1 or spec.loss not in ("regression", "multilabel") for spec in task.targets):
        return [f"task={task.name}: each target must be one number"]
    if (batch.lengths != batch.inputs.shape[1]).any() or batch.scored:
        return [f"task={task.name}: all sequences must be as long, and every step must count"]
    if task.relabel(batch.inputs, batch.lengths) is None:
        return [f"task={task.name}: it doesn't say what its targets are for spliced inputs"]
    return []


def check_map(model: SequenceModel, task: Task, units: Mapping[str, int]) -> None:
    """Raise an InputError unless it can be asked whether these units of a network carry a task's targets."""
    problems = problems_of(task)
    names, hidden = [spec.name for spec in task.targets], model.lstm.hidden_size
    if sorted(units) != sorted(names) or len(set(units.values())) < len(names):
        problems.append(f"units={dict(units)}: must have another unit for each of {', '.join(names)}")
    if any(not 0 <= unit < hidden for unit in units.values()):
        problems.append(f"units={dict(units)}: there are {hidden} units, from 0")
    if model.lstm.num_layers > 1 or model.lstm.proj_size:
        problems.append("model: must have one layer, and no projection")
    if problems:
        raise InputError(*problems)


def numbers(task: Task, targets: Mapping[str, Tensor]) -> Float[Tensor, "sequence time output"]:
    """Return a task's targets side by side."""
    return torch.cat([targets[spec.name] for spec in task.targets], dim=-1)


def spliced(
    task: Task, batch: Batch, at: int, donors: Int[Tensor, " sequence"]
) -> Float[Tensor, "sequence time output"]:
    """Return the targets of sequences whose steps up to `at` are those of others."""
    inputs = torch.cat([batch.inputs[donors, : at + 1], batch.inputs[:, at + 1 :]], dim=1)
    targets = task.relabel(inputs, batch.lengths)
    if targets is None:
        raise InputError(*problems_of(task))
    return numbers(task, targets)


def swapped(
    model: SequenceModel, inputs: Float[Tensor, "sequence time feature"], at: int,
    masks: Bool[Tensor, "set #sequence unit"], donors: Int[Tensor, " sequence"],
) -> tuple[Float[Tensor, "sequence before output"], Float[Tensor, "set sequence rest output"]]:  # fmt: skip
    """Return the outputs before step `at`, and those from it on when units' h and c of that step are the donors'.

    Args:
        model: of one layer.
        inputs: of the sequences.
        at: the step.
        masks: which units are swapped.
        donors: whose states each sequence gets.
    """
    before, (h, c) = model.advance(inputs[:, : at + 1])
    sets, n = len(masks), len(inputs)
    h, c = (torch.where(masks, own[0, donors], own[0]).flatten(0, 1) for own in (h, c))
    made = model.readout(h).unsqueeze(1)
    if at + 1 < inputs.shape[1]:
        rest = inputs[:, at + 1 :].repeat(sets, 1, 1)
        made = torch.cat([made, model.advance(rest, (h.unsqueeze(0), c.unsqueeze(0)))[0]], dim=1)
    return before[:, :at], made.unflatten(0, (sets, n))


@dataclass
class InterchangeTrainer(Trainer):
    """Trains one network of one layer on one task, and on what its outputs must be after swaps.

    Args:
        units: by target: which unit is to carry it.
        weight: of the loss after swaps; that of the task itself is 1, and both are squared errors.
        early: the step r after a swap weighs 1 + early · exp(−r): so no other unit can hand a value on for a step.
    """

    _: KW_ONLY
    units: Mapping[str, int]
    weight: float = 10.0
    early: float = 30.0

    def __post_init__(self) -> None:
        check_map(self.model, self.task, self.units)
        super().__post_init__()

    def _loss(self, batch: Batch) -> Tensor:
        rng = generator(self.seed, "swaps", self.step)
        n, time = batch.inputs.shape[:2]
        hidden = self.model.lstm.hidden_size
        at = int(torch.randint(time, (), generator=rng))
        donors = torch.randperm(n, generator=rng)
        mask = torch.rand(n, hidden, generator=rng) < torch.rand(n, 1, generator=rng)
        chosen = torch.rand(n, len(self.units), generator=rng) < 0.5
        mask[:, [self.units[spec.name] for spec in self.task.targets]] = chosen
        before, after = swapped(self.model, batch.inputs, at, torch.stack([torch.zeros_like(mask), mask]), donors)
        own = numbers(self.task, batch.targets)
        wanted = torch.where(chosen.unsqueeze(1), spliced(self.task, batch, at, donors), own)[:, at:]
        late = torch.arange(time - at)
        weights = (1 + self.early * torch.exp(-late)).view(-1, 1)
        task = (torch.cat([before, after[0]], dim=1) - own).square().mean()
        return task + self.weight * ((after[1] - wanted).square() * weights).mean()


@torch.no_grad()
def begin_as_parity(model: SequenceModel, unit: int, line: int) -> None:
    """Set a unit's weights so that it about flips with every 1 of a line: no training finds that for a single unit."""
    lstm, q = model.lstm, STEEPNESS
    own = dict(lstm.named_parameters())
    rows = {letter: unit + k * lstm.hidden_size for k, letter in enumerate("ifgo")}
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        own[name][list(rows.values())] = 0.0
    own["weight_ih_l0"][rows["i"], line], own["weight_ih_l0"][rows["f"], line] = q, -q
    own["weight_hh_l0"][rows["i"], unit] = -q / ONE
    for letter, bias in {"i": -q / 2, "f": q / 2, "g": 3.0, "o": 3.0}.items():
        own["bias_ih_l0"][rows[letter]] = bias


def train_map(
    task: Task, hidden: int, *, flips: Mapping[str, str] | None = None, steps: int = 4000, weight: float = 10.0,
    early: float = 30.0, lr: float = 0.02, batch: int = 64, seed: int = 0,
) -> tuple[SequenceModel, dict[str, int]]:  # fmt: skip
    """Return a network trained so that one unit carries each target, and which unit that is: by target, at random.

    Args:
        task: that says its targets for spliced inputs, each of them a number.
        hidden: units of the network.
        flips: by target: the input line that it flips with. Its unit begins as a parity.
        steps, lr, batch: of the training: Adam, one cycle.
        weight, early: of what the outputs must be after swaps; see `InterchangeTrainer`.
        seed: everything follows from it.

    Raises:
        InputError: the task is none of that kind, there are too few units, or no such target or line.
    """
    problems = problems_of(task)
    names = [spec.name for spec in task.targets]
    if hidden < len(names):
        problems.append(f"hidden={hidden}: must be at least {len(names)}, one unit for each of {', '.join(names)}")
    for target, line in (flips or {}).items():
        if target not in names or line not in task.input_names:
            problems.append(f"flips: {target}: {line}: must be one of the targets {', '.join(names)} and one of the "
                            f"lines {', '.join(task.input_names)}")  # fmt: skip
    if problems:
        raise InputError(*problems)
    model = SequenceModel(task.n_inputs, task.n_outputs, hidden, seed=seed % 2**32, forget_bias=1.0)
    units = dict(zip(names, torch.randperm(hidden, generator=generator(seed, "places")).tolist()))
    for target, line in (flips or {}).items():
        begin_as_parity(model, units[target], task.input_names.index(line))
    trainer = InterchangeTrainer(model, task, units=units, weight=weight, early=early, steps=steps, lr=lr, batch=batch,
                                 evaluate_every=steps, stop_when_solved=False, seed=seed)  # fmt: skip
    trainer.fit()
    return model.eval(), units


@torch.no_grad()
def gate(
    model: SequenceModel, task: Task, units: Mapping[str, int], *, sequences: int = 512, seed: int = 0
) -> pd.DataFrame:
    """Return how well each unit carries its target, and nothing else does.

    Args:
        model: of one layer.
        task: as of `train_map`.
        units: by target: the unit.
        sequences: that this is measured on; none that the network was trained on.
        seed: of those, and of who is swapped with whom.

    Returns:
        A row for each target: target, unit; follow: 1 − squared error / that of the sequence's own target, where the
        unit's state was swapped, against what the target goes on as, over all steps from the swap on, at four moments
        together; follow_together: the same, all targets' units swapped at once; r2: of the task; free: the largest
        share of the output's variance that changes, at any step from any swap on, when all other units are swapped;
        side: the same, when another target's unit is; in_c: squared correlation of the unit's c with the target. Where
        it is low, the unit keeps the target in h alone, which its output gate hands on to itself.

    Raises:
        InputError: the task is none of that kind, or these are no units of this network, one for each target.
    """
    check_map(model, task, units)
    batch = task.sample(sequences, derive_seed(seed, "gate"))
    n, time = batch.inputs.shape[:2]
    donors = torch.randperm(n, generator=generator(seed, "gate donors")).roll(1)
    own = numbers(task, batch.targets)
    places = [units[spec.name] for spec in task.targets]
    hidden = model.lstm.hidden_size
    masks = torch.zeros(len(places) + 3, 1, hidden, dtype=torch.bool)  # none, each, together, all others
    masks[range(1, len(places) + 1), 0, places] = True
    masks[-2, 0, places] = True
    masks[-1] = ~masks[-2]
    intact = model(batch.inputs)
    spread = intact.flatten(0, 1).var(0, correction=0)
    missed, due, moved = torch.zeros(2, len(places)), torch.zeros(len(places)), []
    for at in (time * k // 5 for k in range(1, 5)):
        after = swapped(model, batch.inputs, at, masks, donors)[1]
        wanted = spliced(task, batch, at, donors)[:, at:]
        alone = torch.stack([after[1 + k, ..., k] for k in range(len(places))], dim=-1)
        missed += torch.stack([(made - wanted).square().sum((0, 1)) for made in (alone, after[-2])])
        due += (own[:, at:] - wanted).square().sum((0, 1))
        moved.append(((after - intact[:, at:]).square().mean(1) / spread).amax(1))
    largest = torch.stack(moved).amax(0)
    others = largest[1:-2].masked_fill(torch.eye(len(places), dtype=torch.bool), 0.0).amax(0)
    error = (intact - own).square().mean((0, 1)) / own.var((0, 1), correction=0)
    c = record(model, batch.inputs, variables=["c"]).c[..., places].flatten(0, 1)
    pairs = zip(c.unbind(1), own.flatten(0, 1).unbind(1))
    kept = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1].square() for pair in pairs])
    columns = {"follow": 1 - missed[0] / due, "follow_together": 1 - missed[1] / due, "r2": 1 - error,
               "free": largest[-1], "side": others, "in_c": kept}  # fmt: skip
    return pd.DataFrame({"target": [spec.name for spec in task.targets], "unit": places}
                        | {name: values.double().numpy() for name, values in columns.items()})  # fmt: skip


def passes(table: pd.DataFrame) -> bool:
    """Return whether a network's table, of `gate`, meets every bar."""
    return bool(all((table[name] >= bar).all() for name, bar in LEAST.items())
                and all((table[name] <= bar).all() for name, bar in MOST.items()))  # fmt: skip
