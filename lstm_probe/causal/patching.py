"""Interchange: the state of some units at one moment taken from another sequence, and what the outputs do then.

Geiger, Lu, Icard & Potts (2021) and Vig and others (2020) put activations of one input into the run on another. What a
patch brings about is measured against the network's own patch of its whole state: the network that has read the
donor's inputs up to the moment and the receiver's from there on.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.causal.editing import Editing
from lstm_probe.causal.moment import Edit, Moment
from lstm_probe.causal.pairing import checked_donors, looking, paired
from lstm_probe.causal.running import moved_variable
from lstm_probe.cells.known import cell_of
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.order import UnitKey
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.recorder import find_lstm, record
from lstm_probe.recorder.calling import arguments, outputs_of
from lstm_probe.recorder.leaving import undisturbed

log = logging.getLogger(__name__)

#: The whole state's patch and the spliced run are the same if they differ by less than this share of what they change.
NEAR = 1e-3
#: And by no more roundings of the largest output than these, where numbers have few digits.
ROUNDINGS = 4
Part = tuple[int, str]
#: Given inputs and lengths, the targets by name as a task's rule has them; None where it has none.
Rule = Callable[[Tensor, Tensor], Mapping[str, Tensor] | None]


@dataclass(frozen=True)
class Patch:
    """What is taken from the donor: given the receiver's and the donor's values of a part, the new ones.

    Attributes:
        direction: of the units in it.
        parts: by layer and direction.
    """

    direction: str
    parts: Mapping[Part, Callable[[Tensor, Tensor], Tensor]]

    @classmethod
    def of_units(cls, units: Sequence[UnitKey]) -> "Patch":
        """Return the patch of these units, all of one direction."""
        by_part: dict[Part, list[int]] = {}
        for layer, direction, unit in units:
            by_part.setdefault((layer, direction), []).append(unit)

        def taken(chosen: list[int]) -> Callable[[Tensor, Tensor], Tensor]:
            def take(own: Tensor, other: Tensor) -> Tensor:
                new = own.clone()
                new[:, chosen] = other[:, chosen]
                return new

            return take

        return cls(units[0][1], {part: taken(chosen) for part, chosen in by_part.items()})

    @classmethod
    def along(cls, part: Part, axes: Float[Tensor, "unit axis"]) -> "Patch":
        """Return the patch of what lies along directions, of length 1 and at right angles to each other."""
        return cls(part[1], {part: lambda own, other: own + (other - own) @ axes @ axes.T})


@dataclass(frozen=True, eq=False)
class Pairs:
    """Receivers and donors at one moment, in one direction, and what the whole state's patch does.

    Attributes:
        step: after which the state is taken.
        receivers, donors: sequences of the batch, and of those that values are taken from.
        look: by target: for each pair and each number of steps after, the step whose output is looked at; −1: none.
        base: the outputs there with nothing changed, by target (pair, after, output).
        whole: what the whole state's patch changes of them.
        truth: what the rule says for the spliced inputs and for the receiver's own; empty where there is no rule.
    """

    step: int
    receivers: Int[Tensor, " pair"]
    donors: Int[Tensor, " pair"]
    look: Mapping[str, Int[Tensor, "pair after"]]
    base: Mapping[str, Float[Tensor, "pair after output"]]
    whole: Mapping[str, Float[Tensor, "pair after output"]]
    truth: Mapping[str, tuple[Tensor, Tensor]]


class Patching:
    """A model on a batch whose units' states are taken from other sequences.

    Attributes:
        editing: the model on the batch.
        shape: how many units each layer and direction has; of h under a projection, outputs.
        keys: all units.
        donors: the sequences that values are taken from.
        given: whether they are other sequences than the batch's.
        of: for each sequence and step, its donor; −1: none.
        groups: of the batch's sequences; None: every one is its own.
        spliced: whether the whole state's patch is what the network does on the spliced inputs; None where that
            cannot be said, of directions that read backwards.
    """

    def __init__(
        self, model: nn.Module, batch: Batch, *, layer: str | None, variable: str, after: Sequence[int],
        donors: Any, groups: Any, seed: int, rule: Rule | None,
    ) -> None:  # fmt: skip
        cell = cell_of(find_lstm(model, layer)[1])
        variable = moved_variable(cell, variable)
        if not len(after) or any(not isinstance(k, int) or isinstance(k, bool) or k < 0 for k in after):
            raise InputError(f"after={list(after)}: must be whole numbers of steps from 0")
        if not batch.target_specs:
            raise NothingThereError("patch: the batch has no targets, so no output can follow")
        self.model, self.batch, self.variable, self.after = model, batch, variable, tuple(after)
        codes = resampled_by(batch.groups if groups is None else groups, len(batch))
        self.groups = codes
        self.given = isinstance(donors, Batch)
        self.donors = checked_donors(batch, donors) if isinstance(donors, Batch) else batch
        self.of = paired(batch, self.donors, donors, codes, seed)
        self.editing = Editing(model, batch, layer=layer)
        rec = record(model, arguments(model, self.donors), layer=self.editing.name, variables=cell.state)
        self._values = {part: {name: values[name] for name in cell.state} for part, values in rec.parts.items()}
        if len(next(iter(self._values.values()))["h"]) != len(batch):
            raise InputError(
                f"donors: the module calls its {cell.title} with another number of sequences than it is given"
            )
        self.shape = {part: values[variable].shape[-1] for part, values in self._values.items()}
        self.keys: list[UnitKey] = [(*part, unit) for part, width in self.shape.items() for unit in range(width)]
        self.rule = self._checked_rule(rule)
        self.spliced: bool | None = None if any(part[1] == "reverse" for part in self.shape) else True
        self._looked = looking(batch)

    @property
    def lstm(self) -> Any:
        """The layer that is looked at, for what it says of itself."""
        return self.editing.lstm

    def _checked_rule(self, rule: Rule | None) -> Rule | None:
        """Return the rule, if it has anything to say, and says of the batch's own inputs what the batch has."""
        said = None if rule is None else rule(self.batch.inputs, self.batch.lengths)
        if said is None:
            return None
        for spec in self.batch.target_specs:
            own, steps = self.batch.targets[spec.name], self.batch.scored_steps(spec.name)
            if spec.name not in said or not torch.allclose(said[spec.name][steps].double(), own[steps].double(),
                                                           atol=1e-4):  # fmt: skip
                raise InputError(f"rule: of the batch's own inputs it does not say its target {spec.name}")
        return rule

    def pairs(self, step: int, direction: str) -> Pairs:
        """Return all pairs at a moment, with what the whole state's patch of one direction does."""
        own = torch.from_numpy(self.of[:, step]).to(self.batch.lengths.device)
        receivers = torch.nonzero((own >= 0) & (self.batch.lengths > step))[:, 0]
        sign = 1 if direction == "forward" else -1
        look = {spec.name: torch.stack([self._looked[spec.name, sign](receivers, step + sign * k)
                                        for k in self.after], dim=1) for spec in self.batch.target_specs}  # fmt: skip
        shared: list[Tensor] = []
        for name, steps in look.items():
            shared += [] if any(torch.equal(steps, one) for one in shared) else [steps]
            look[name] = next(one for one in shared if torch.equal(steps, one))
        pairs = Pairs(step, receivers, own[receivers], look, {}, {}, {})
        base = self._outputs(pairs, direction, lambda at: at.with_memory(at.memory))
        whole = self._outputs(pairs, direction, self._edit(pairs, direction, None))
        seen = self.seen(pairs, base)
        changed = {name: values - seen[name] for name, values in self.seen(pairs, whole).items()}
        truth: dict[str, tuple[Tensor, Tensor]] = {}
        if self.spliced is not None:
            inputs = self.batch.inputs.clone()
            inputs[receivers, : step + 1] = self.donors.inputs[pairs.donors, : step + 1]
            self._compare(pairs, inputs, seen, changed)
            truth = self._truth(pairs, inputs)
        return replace(pairs, base=seen, whole=changed, truth=truth)

    def _compare(self, pairs: Pairs, inputs: Tensor, base: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Find out whether the whole state's patch is what the network does on the spliced inputs."""
        if not len(pairs.receivers):
            return
        with undisturbed(self.model):
            outputs = outputs_of(self.model, replace(self.batch, inputs=inputs))
        spliced = self.seen(pairs, outputs if outputs.dim() == 3 else outputs.unsqueeze(1).expand(
            -1, inputs.shape[1], -1))  # fmt: skip
        for name, changed in whole.items():
            there = (pairs.look[name] >= 0).unsqueeze(-1)
            apart = ((spliced[name] - base[name] - changed) * there).abs().amax()
            size, moved = float(base[name].abs().amax()), float((changed * there).abs().amax())
            if apart > max(NEAR * max(moved, 1e-3 * size), ROUNDINGS * torch.finfo(outputs.dtype).eps * size):
                if self.spliced:
                    log.warning(
                        "the state of this %s is not all that the module remembers of earlier inputs: `moved` is a "
                        "share of what this state brings about, and no rule is compared",
                        self.editing.cell.title,
                    )
                self.spliced = False

    def _truth(self, pairs: Pairs, inputs: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what the rule says at the steps that are looked at, for the spliced inputs and the receiver's own."""
        said = None if self.rule is None or not self.spliced else self.rule(inputs, self.batch.lengths)
        found = {}
        for name in said or {}:
            at = pairs.receivers.unsqueeze(1), pairs.look[name].clamp(min=0)
            assert said is not None
            found[name] = said[name][at], self.batch.targets[name][at]
        return found

    def changed(self, pairs: Pairs, patch: Patch) -> dict[str, Tensor]:
        """Return what a patch changes of the outputs that are looked at, by target (pair, after, output)."""
        outputs = self._outputs(pairs, patch.direction, self._edit(pairs, patch.direction, patch))
        return {name: values - pairs.base[name] for name, values in self.seen(pairs, outputs).items()}

    def _outputs(self, pairs: Pairs, direction: str, edit: Edit) -> Tensor:
        last = max((int(steps.max()) for steps in pairs.look.values() if len(steps)), default=pairs.step)
        until = last + 1 if direction == "forward" else None
        return self.editing.outputs(edit, [pairs.step], until=until).outputs

    def _edit(self, pairs: Pairs, direction: str, patch: Patch | None) -> Edit:
        """Return the edit of a patch, or of the whole state of one direction."""
        rows = torch.arange(len(self.batch), device=pairs.donors.device)
        rows[pairs.receivers] = pairs.donors
        changes = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        changes[pairs.receivers] = True

        def edit(at: Moment) -> tuple[Tensor, ...]:
            part = at.layer, at.direction
            change = None if patch is None else patch.parts.get(part)
            if at.direction != direction or (patch is not None and change is None):
                return at.with_memory(at.memory)
            here = changes[at.sequences].unsqueeze(-1)

            def put(name: str, made: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
                own = at.state[name]
                other = self._values[part][name][rows[at.sequences], at.step].to(own)
                return torch.where(here, made(own, other), own)

            if change is None:
                return at.but({name: put(name, lambda _, other: other) for name in at.state})
            if self.variable == at.cell.memory:
                return at.with_memory(put(self.variable, change))
            return at.but({"h": put("h", change)})

        return edit

    def seen(self, pairs: Pairs, outputs: Tensor) -> dict[str, Tensor]:
        """Return the outputs that are looked at, by target; of classes, logits less their mean."""
        found, looked = {}, dict[int, dict[str, Tensor]]()
        for name, look in pairs.look.items():
            if id(look) not in looked:  # most targets are looked at in the same steps
                taken = outputs[pairs.receivers.unsqueeze(1), look.clamp(min=0)]
                looked[id(look)] = self.batch.split_outputs(taken)
            values = looked[id(look)][name]
            found[name] = values - values.mean(-1, keepdim=True) if classes(self._spec(name)) else values
        return found

    def _spec(self, name: str) -> Target:
        return next(spec for spec in self.batch.target_specs if spec.name == name)


def classes(spec: Target) -> bool:
    """Return whether a target's outputs are logits of classes, of which only differences say anything."""
    return spec.loss in ("class", "next_symbol")


def in_turn(patching: Patching, steps: Sequence[int], direction: str) -> Iterator[Pairs]:
    """Go through the moments that have pairs."""
    for step in steps:
        pairs = patching.pairs(step, direction)
        if len(pairs.receivers) and any(bool((look >= 0).any()) for look in pairs.look.values()):
            yield pairs
