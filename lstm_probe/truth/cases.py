"""Networks with known answers: a knob, how hard it is turned, and a seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

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
    Knob,
    Latch,
    LookAlike,
    Mixed,
    Parity,
    Planted,
    Redundant,
    Shut,
    Soft,
    Xor,
    compile,
)

#: Units of each network: every set of three of them is tried.
UNITS = 12
#: That a method is given.
SEQUENCES, LENGTH = 128, 40
#: Labels of a unit and a target by which the target needs the unit; of "unclear" ones nothing is asked.
NEEDED = ("alone", "together", "redundant", "cancelled")


@dataclass(frozen=True)
class Level:
    """How hard a knob is turned.

    Attributes:
        name: of it.
        parts: what is planted.
        knobs: what is done to it.
        own: the target, or the signal, that the knob is about; None for all.
        absent: what sequences have signals of, and the network has no lines for.
    """

    name: str
    parts: tuple[Component, ...]
    knobs: tuple[Knob, ...] = ()
    own: str | None = "latch"
    absent: tuple[Component, ...] = ()


_USUAL = (Latch(), Counter(), Parity())
_TWO = (Latch(name="a", rate=0.15), Latch(name="b", rate=0.15), Counter())

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
        Level(f"{units} units", (Counter(name="a"), Counter(name="b"), Latch()), (Mixed(units=units),), "a")
        for units in (2, 4, 8)),
    "drift": tuple(Level(f"rate {rate:g}", (Drift(rate=rate), Counter()), own="drift") for rate in (0.05, 0.2)),
    "look-alike": tuple(Level(f"{agreement:g}", _USUAL, (LookAlike(agreement=agreement),), "alike")
                        for agreement in (0.7, 0.8, 0.9, 0.97)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """A network with known answers, and what a method is given of it.

    Attributes:
        knob: what makes it hard.
        level: how hard.
        seed: of the network's order and of its sequences.
        net: the network, and what was planted in it.
        batch: sequences, with their signals.
        own: the target, or the signal, that the knob is about; None for all.
    """

    knob: str
    level: str
    seed: int
    net: Planted
    batch: Batch
    own: str | None

    @cached_property
    def _labels(self) -> pd.DataFrame:
        return self.net.truth(seed=self.seed).labels

    @cached_property
    def needed(self) -> pd.DataFrame:
        """Which target needs which unit: unit, name of the target, label, and answer (None: nothing is asked).

        By brute force over all sets of up to three units: see `planted.Truth.labels`.
        """
        found = self._labels
        answers = {"unused": False, "unclear": None} | dict.fromkeys(NEEDED, True)
        return pd.DataFrame({"unit": found["unit"], "name": found["target"], "label": found["label"],
                             "answer": found["label"].map(answers).astype(object)})  # fmt: skip

    @cached_property
    def carries(self) -> pd.DataFrame:
        """Which unit's state each target goes on from: as `needed`, but by swapping it between sequences."""
        found = self._labels
        labels = [{True: "carries", False: "none"}.get(own, "unclear") for own in found["carries"]]
        return pd.DataFrame({"unit": found["unit"], "name": found["target"], "label": labels,
                             "answer": found["carries"].astype(object)})  # fmt: skip

    @cached_property
    def reads(self) -> pd.DataFrame:
        """Which signal any target reads from which unit: one that the unit holds, and whose state is gone on from.

        "unread": it holds the signal, and no target goes on from it. Other labels are those of `holds`.
        """
        moves: dict[int, bool | None] = {}
        for unit in range(self.net.model.lstm.hidden_size):
            own = self.carries.loc[self.carries["unit"] == unit, "answer"].tolist()
            moves[unit] = True if True in own else None if None in own else False
        made = self.holds.copy()
        held = made["answer"] == True  # noqa: E712
        read = pd.Series([moves[unit] for unit in made["unit"]], index=made.index, dtype=object)
        made["answer"] = made["answer"].mask(held, read)
        made["label"] = made["label"].mask(held & (read == False), "unread")  # noqa: E712
        return made

    @cached_property
    def holds(self) -> pd.DataFrame:
        """Which unit holds which signal: unit, name of the signal, label, and answer (None: nothing is asked).

        "holds": c is the signal, by a factor, at every step. "share": it is a mixture with others. "none": the unit was
        planted and holds something else, or nothing. "hears": a reader, or one of the units that hear everything and
        echo in c what others hold: nothing is asked of those. Where nobody holds a signal, that is the answer of all.
        """
        planted = self.net.held[self.net.held["layer"] == 0]
        held = {(unit, signal): abs(factor) for unit, signal, factor in
                planted[["unit", "signal", "factor"]].itertuples(index=False)}  # fmt: skip
        roles = dict(zip(planted["unit"], planted["role"]))
        asked = [name for name in self.batch.signals if name != "step"]
        kept = {signal for _, signal in held}
        rows = []
        for unit in range(self.net.model.lstm.hidden_size):
            for name in asked:
                role = roles.get(unit, "random")
                if (unit, name) in held:
                    label = "share" if role == "mixture" else "holds"
                else:
                    label = "hears" if role == "reader" or (role in ("random", "shut") and name in kept) else "none"
                rows.append((unit, name, label, {"hears": None, "none": False}.get(label, True)))
        return pd.DataFrame(rows, columns=["unit", "name", "label", "answer"]).astype({"answer": object})


def cases(
    *, knobs: Sequence[str] | None = None, seeds: int = 3, held_out: bool = False
) -> Iterator[Case]:  # fmt: skip
    """Go through networks with known answers.

    Args:
        knobs: which, of `KNOBS`; None for all.
        seeds: networks of each level.
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
    return (_case(knob, level, derive_seed(seed, "held out" if held_out else "open", knob, level.name))
            for knob in wanted for level in KNOBS[knob] for seed in range(seeds))  # fmt: skip


def _case(knob: str, level: Level, seed: int) -> Case:
    random = (Mixed, LookAlike)
    seeded = [replace(one, seed=seed % 2**32) if isinstance(one, random) else one for one in level.knobs]
    net = compile(level.parts, knobs=seeded, units=UNITS, listening=True, seed=seed)
    batch = net.sample(SEQUENCES, LENGTH, seed)
    if level.absent:
        other = compile(level.absent).sample(SEQUENCES, LENGTH, derive_seed(seed, "absent"))
        alone = {name: replace(signal, role="distractor") for name, signal in other.signals.items() if name != "step"}
        batch = replace(batch, signals={**batch.signals, **alone})
    return Case(knob, level.name, seed, net, batch, level.own)
