"""Networks with known answers: a knob, how hard it is turned, and a seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import pandas as pd
from torch import Tensor

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.planted import (
    Behind,
    Cancel,
    Component,
    Constants,
    Counter,
    DeadEnd,
    Decoy,
    Drift,
    Hearing,
    Knob,
    Latch,
    LookAlike,
    Mixed,
    Noisy,
    Parity,
    Planted,
    Redundant,
    Rotated,
    Shut,
    Since,
    Soft,
    Truth,
    Xor,
    compile,
)
from lstm_probe.truth.trained import RECIPES, Trained, trained_networks

#: Units of each network: every set of three of them is tried.
UNITS = 12
#: That a method is given.
SEQUENCES, LENGTH = 128, 40
#: Labels of a unit and a target by which the target needs the unit; of "unclear" ones nothing is asked.
NEEDED = ("alone", "together", "redundant", "cancelled")
#: By the label of a unit and a signal: whether c has the signal, and whether the outputs get it from there; None where
#: nothing is asked.
HAS = {"carries": True, "unread decoy": True, "echoes": None, "hears": None, "unclear": None, "none": False}
READS = HAS | {"unread decoy": False, "echoes": False}


@dataclass(frozen=True)
class Level:
    """How hard a knob is turned.

    Attributes:
        name: of it.
        parts: what is planted.
        knobs: what is done to it.
        own: the target, or the signal, that the knob is about; None for all.
        absent: what sequences have signals of, and the network has no lines for.
        options: of `planted.compile`, beside `UNITS` units that listen.
        start: steps that every sequence goes on from, so that the state before the first one is not 0.
    """

    name: str
    parts: tuple[Component, ...]
    knobs: tuple[Knob, ...] = ()
    own: str | None = "latch"
    absent: tuple[Component, ...] = ()
    options: Mapping[str, int] = field(default_factory=dict)
    start: int = 0

    def net(self, seed: int) -> Planted:
        """Return a network of this level."""
        random = (Mixed, LookAlike, Noisy)
        seeded = [replace(one, seed=seed % 2**32) if isinstance(one, random) else one for one in self.knobs]
        made = partial(compile, self.parts, knobs=seeded, listening=True, seed=seed, **{"units": UNITS, **self.options})
        return made(before=made().sample(1, self.start, seed).inputs[0]) if self.start else made()


_USUAL = (Latch(), Counter(), Parity())
_TWO = (Latch(name="a", rate=0.15), Latch(name="b", rate=0.15), Counter())
_COUNTS = (Counter(name="a"), Counter(name="b"), Latch())


def _noisy(amount: float) -> Level:
    return Level(f"{amount:g}", _USUAL, tuple(Noisy(part.name, amount) for part in _USUAL), own=None)


def _shared(name: str, other: Component, line: str) -> Level:
    return Level(name, (Latch(), Hearing(other, {line: "latch.set"}), Counter()))


#: By the knob's name, from easy to hard.
KNOBS: Mapping[str, tuple[Level, ...]] = {
    "none": (Level("none", _USUAL, own=None),),
    "nothing there": (Level("nothing there", (Counter(),), absent=(Latch(), Parity()), own=None),),
    "copies": tuple(Level(form, _USUAL, (Redundant(form=form),)) for form in ("halves", "or", "majority")),
    "depth": tuple(Level(str(depth), _USUAL, (Behind(depth=depth),)) for depth in (1, 2, 3)),
    "slope": tuple(Level(str(slope), _USUAL, (Behind(), Soft(slope=slope))) for slope in (400, 20, 12, 8)),
    "decoys": (
        Level("decoy", _USUAL, (Decoy(),)), Level("shut", _USUAL, (Shut(),)), Level("dead end", _USUAL, (DeadEnd(),)),
        Level("constants", _USUAL, (Constants(),)), Level("cancel", _USUAL, (Cancel(),)),
    ),
    "xor": (Level("xor", _TWO, (Xor(),), "xor"),),
    "mixture": tuple(
        Level(f"{units} units", _COUNTS, (Mixed(units=units),), "a") for units in (2, 4, 8)),
    "rotation": tuple(
        Level(f"{degrees} degrees", _COUNTS, (Rotated(degrees=degrees),), "a") for degrees in (15, 30, 45)),
    "drift": tuple(Level(f"rate {rate:g}", (Drift(rate=rate), Counter()), own="drift") for rate in (0.05, 0.2)),
    "look-alike": tuple(Level(f"{agreement:g}", _USUAL, (LookAlike(agreement=agreement),), "alike")
                        for agreement in (0.7, 0.8, 0.9, 0.97)),
    "shared lines": (
        _shared("since a set", Since(), "since.tick"),
        _shared("a latch of the same sets", Latch(name="other"), "other.set"),
    ),
    "noise": tuple(_noisy(amount) for amount in (0.1, 0.3, 0.6)),
    "start": (Level("40 steps", _USUAL, own=None, start=40),),
    "trained": tuple(Level(recipe, (), own=None) for recipe in RECIPES),
    # Of a unit c is held and needed as ever; the entries of h are mixtures.
    "projection": tuple(Level(f"to {size}", _USUAL, options={"projection": size}, own=None) for size in (10, 6, 4)),
    # Above the first layer there are relays, which show what the units below do, and are needed as they are.
    "layers": (Level("2", _USUAL, options={"layers": 2, "units": 8}, own=None),
               Level("3", _USUAL, options={"layers": 3, "units": 5}, own=None)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """A network with known answers, and what a method is given of it.

    Attributes:
        knob: what makes it hard.
        level: how hard.
        seed: of the network's order and of its sequences.
        net: the network, and what was planted in it; or one that was trained.
        batch: sequences, with their signals.
        own: the target, or the signal, that the knob is about; None for all.
    """

    knob: str
    level: str
    seed: int
    net: Planted | Trained
    batch: Batch
    own: str | None

    def sample(self, n: int, seed: int) -> Batch:
        """Return further sequences of the same kind and length."""
        if isinstance(self.net, Trained):
            return self.net.sample(n, seed)
        return self.net.sample(n, self.batch.inputs.shape[1], seed)

    def rule(self, inputs: Tensor, lengths: Tensor) -> Mapping[str, Tensor] | None:
        """Return what the targets of any inputs are, as `lp.patch_sets` asks for it."""
        return (
            self.net.task.relabel(inputs, lengths) if isinstance(self.net, Trained) else self.net.batch(inputs).targets
        )

    @cached_property
    def truth(self) -> Truth:
        """What clamping and swapping sets of units costs; of trained networks stored, on average over steps."""
        return self.net.truth if isinstance(self.net, Trained) else self.net.truth(seed=self.seed)

    @cached_property
    def signals(self) -> pd.DataFrame:
        """Which unit carries which signal, as `planted.Planted.carried` says it."""
        if isinstance(self.net, Trained):
            raise TypeError("nothing was planted in a trained network")
        return self.net.carried(self.batch, self.truth)

    @cached_property
    def needed(self) -> pd.DataFrame:
        """Which target needs which unit: layer, unit, name of the target, four labels, and answer.

        The answer is true if clamping says so even when the outputs are brought back to scale, at the mean or by
        resampling, alone or in a set: see `planted.Truth.labels`. It is false if none of the labels says so, and None,
        where nothing is asked, of the others.
        """
        found = self.truth.labels
        words = found[["label", "resample_label", "refit_label", "resample_refit_label"]]
        unused = (words.isna() | (words == "unused")).all(axis=1)
        needed = words[["refit_label", "resample_refit_label"]].isin(NEEDED).any(axis=1)
        answers = [True if yes else False if no else None for yes, no in zip(needed, unused)]
        return found[["layer", "unit"]].assign(name=found["target"], **words, answer=pd.Series(answers, dtype=object))

    @cached_property
    def holds(self) -> pd.DataFrame:
        """Which unit's c has which signal: layer, unit, name of the signal, label, and answer.

        Exactly, in a mixture, or in turn; whether or not anybody reads it. The answer is None where nothing is asked:
        of readers, and of the units that hear everything and echo in c what others hold. Where nobody holds a signal,
        it is no for all. Of trained networks: see `Trained.holds`.
        """
        return self.net.holds if isinstance(self.net, Trained) else self._asked(HAS)

    @cached_property
    def reads(self) -> pd.DataFrame:
        """From which unit outputs get which signal, with the same columns: no decoy and no echo is one."""
        return self.net.carries if isinstance(self.net, Trained) else self._asked(READS)

    @cached_property
    def carries(self) -> pd.DataFrame:
        """Which unit's state each target goes on from, by swapping it alone: as `needed`, but for the labels."""
        if isinstance(self.net, Trained):
            return self.net.carries
        found = self.truth.labels
        labels = [{True: "carries", False: "none"}.get(own, "unclear") for own in found["carries"]]
        return found[["layer", "unit"]].assign(name=found["target"], label=labels,
                                               answer=found["carries"].astype(object))  # fmt: skip

    def _asked(self, answers: Mapping[str, bool | None]) -> pd.DataFrame:
        found = self.signals
        answer = pd.Series([answers[label] for label in found["label"]], index=found.index, dtype=object)
        return found[["layer", "unit"]].assign(name=found["signal"], label=found["label"], answer=answer)


def cases(
    *, knobs: Sequence[str] | None = None, seeds: int = 3, held_out: bool = False
) -> Iterator[Case]:  # fmt: skip
    """Go through networks with known answers.

    Args:
        knobs: which, of `KNOBS`; None for all.
        seeds: networks of each level; of trained ones no more than there are.
        held_out: whether the networks are those that nothing may be tuned on.

    Raises:
        InputError: no such knob, or no seeds.
    """
    wanted = list(KNOBS if knobs is None else knobs)
    problems = [f"knobs: there is no {name}.{nearest(name, list(KNOBS))} There are {', '.join(KNOBS)}."
                for name in wanted if name not in KNOBS]  # fmt: skip
    if seeds < 1:
        problems.append(f"seeds={seeds}: must be a whole number from 1.")
    if problems:
        raise InputError(*problems)
    return (case for knob in wanted for level in KNOBS[knob] for case in _cases(knob, level, seeds, held_out))


def _cases(knob: str, level: Level, seeds: int, held_out: bool) -> Iterator[Case]:
    if knob == "trained":  # every other one is held out
        nets = trained_networks(level.name)[int(held_out) :: 2][:seeds]
        yield from (Case(knob, level.name, net.seed, net, net.sample(SEQUENCES, net.seed), None) for net in nets)
    else:
        for seed in range(seeds):
            yield _case(knob, level, derive_seed(seed, "held out" if held_out else "open", knob, level.name))


def _case(knob: str, level: Level, seed: int) -> Case:
    net = level.net(seed)
    batch = net.sample(SEQUENCES, LENGTH, seed)
    if level.absent:
        other = compile(level.absent).sample(SEQUENCES, LENGTH, derive_seed(seed, "absent"))
        alone = {name: replace(signal, role="distractor") for name, signal in other.signals.items() if name != "step"}
        batch = replace(batch, signals={**batch.signals, **alone})
    return Case(knob, level.name, seed, net, batch, level.own)
