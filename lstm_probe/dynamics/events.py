"""What can come in at a step of a network's inputs: pulses, symbols, values that are high or low."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.signals import CheckedSignal

log = logging.getLogger(__name__)

#: Up to so many values a feature has events, one for each; with more it is high or low.
DISTINCT = 8
#: A feature that stays at one value in this share of steps is at rest there.
AT_REST = 0.6
#: Steps that an event must come in, and the share of them in which nothing may come.
LEAST_STEPS, LEAST_QUIET = 20, 0.05
#: As many events are looked at, the commonest ones.
MOST_EVENTS = 24
#: Of a feature with many values: the lowest and the highest fifth are events, against the middle one.
FIFTHS = (0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9)

#: Signals of up to so many classes have changes that are looked at.
MOST_CLASSES = 4

#: What is put into an input at a step: which features, and their values; None leaves it as it is.
Put = tuple[tuple[int, ...], tuple[float, ...]] | None


@dataclass(frozen=True)
class Event:
    """Something that comes in at a step.

    Attributes:
        name: what it is called.
        here: the steps at which it comes, with no other event.
        without: the steps that it is compared with.
        put: what is put in to make it come; not for changes of a signal, which is no input.
        against: what is put in for comparison; of several, the median of what they do counts.
    """

    name: str
    here: Bool[Tensor, "sequence time"]
    without: Bool[Tensor, "sequence time"]
    put: Put = None
    against: tuple[Put, ...] = ()

    @property
    def is_input(self) -> bool:
        """Whether it can be put in."""
        return bool(self.against)


@dataclass(frozen=True)
class Events:
    """What there is.

    Attributes:
        found: the events, as the features stand.
        free: the steps at which one may be put in.
        quiet: the steps at which nothing comes; None where there are no such steps.
        comes: by name, the steps at which an event comes that can be told from rest, alone or not: not values that
            are high or low, as one of these comes at every step.
    """

    found: tuple[Event, ...]
    free: Bool[Tensor, "sequence time"]
    quiet: Bool[Tensor, "sequence time"] | None
    comes: Mapping[str, Bool[Tensor, "sequence time"]]


def find_events(
    model: nn.Module,
    inputs: Float[Tensor, "sequence time feature"],
    mask: Bool[Tensor, "sequence time"],
    names: Sequence[str] | None = None,
) -> Events:
    """Return what can come in.

    Symbols, where each step has exactly one (one-hot features, or the only number that a module with an embedding
    reads): each is compared with the others. Every other feature has events of its own: one that rests at a value in
    most steps has pulses, compared with steps in which nothing comes; one of few values has each, compared with the
    commonest; one of many is high or low, compared with its middle.

    Args:
        model: that reads the inputs.
        inputs: of all sequences.
        mask: which steps are real.
        names: of the features; "input 0" and so on where this is None.

    Raises:
        InputError: not one name for each feature.
    """
    width = inputs.shape[-1]
    labels = [f"input {k}" for k in range(width)] if names is None else list(names)
    if len(labels) != width:
        raise InputError(f"input_names: {len(labels)} names; the inputs have {width} features")
    if width == 1 and any(isinstance(part, nn.Embedding) for part in model.modules()):
        found = _symbols(inputs[..., 0].long(), mask, [0], lambda code: f"{labels[0]} {code}")
        return _common(found, mask, None)
    rows = inputs[mask]
    binary = torch.nonzero(((rows == 0) | (rows == 1)).all(0))[:, 0].tolist()
    one_hot = len(binary) > 1 and bool((rows[:, binary].sum(-1) == 1).all())
    group = binary if one_hot else []
    found, quiet = _features(inputs, mask, labels, [k for k in range(width) if k not in group])
    if group:
        codes = inputs[..., group].argmax(-1)
        found = _symbols(codes, mask, group, lambda code: labels[group[code]]) + found
    return _common(found, mask, quiet)


@dataclass(frozen=True)
class _Found:
    """An event, and the steps at which it comes, alone or not; None for one that is high or low."""

    event: Event
    comes: Bool[Tensor, "sequence time"] | None


def _common(found: Sequence[_Found], mask: Tensor, quiet: Tensor | None) -> Events:
    """Return the events that are common enough."""
    kept = [one for one in found if min(int(one.event.here.sum()), int(one.event.without.sum())) >= LEAST_STEPS]
    commonest = sorted(kept, key=lambda one: -int(one.event.here.sum()))[:MOST_EVENTS]
    chosen = [one for one in kept if any(one is other for other in commonest)]
    if len(chosen) < len(found):
        log.info("%d events are rarer than %d steps or beyond the %d commonest: left out", len(found) - len(chosen),
                 LEAST_STEPS, MOST_EVENTS)  # fmt: skip
    comes = {one.event.name: one.comes for one in chosen if one.comes is not None}
    puts = {one.event.put for one in chosen}
    return Events(
        tuple(replace(one.event, against=tuple(put for put in one.event.against if put in puts or len(
            one.event.against) == 1)) for one in chosen),
        mask if quiet is None else quiet, quiet, comes,
    )  # fmt: skip


def _symbols(
    codes: Int[Tensor, "sequence time"], mask: Tensor, columns: Sequence[int], name: Callable[[int], str]
) -> list[_Found]:
    """Return each symbol as an event, compared with the others; one-hot in several columns, a number in one."""
    present = codes[mask].unique().tolist()

    def put(code: int) -> Put:
        if len(columns) == 1:
            return tuple(columns), (float(code),)
        return tuple(columns), tuple(float(k == code) for k in range(len(columns)))

    return [
        _Found(Event(name(code), here := mask & (codes == code), mask & ~here, put(code),
                     tuple(put(other) for other in present if other != code)), here)
        for code in present
    ]  # fmt: skip


def _features(
    inputs: Tensor, mask: Tensor, labels: Sequence[str], wanted: Sequence[int]
) -> tuple[list[_Found], Tensor | None]:  # fmt: skip
    """Return the events of some features, and the steps at which nothing comes."""
    rests: dict[int, float] = {}  # by feature: where it rests
    levels: dict[int, tuple[float, list[float]]] = {}  # its commonest value, and the others
    continuous = []
    for k in wanted:
        values, counts = inputs[..., k][mask].unique(return_counts=True)
        if len(values) > DISTINCT:
            continuous.append(k)
        elif len(values) > 1:
            base = float(values[counts.argmax()])
            levels[k] = base, [float(value) for value in values if value != base]
            if counts.max() >= AT_REST * counts.sum():
                rests[k] = base
    resting = {k: inputs[..., k] == base for k, base in rests.items()}
    quiet = _all([mask, *resting.values()])
    if quiet.sum() < max(LEAST_STEPS, LEAST_QUIET * int(mask.sum())):
        resting, quiet = {}, mask
    found = []
    for k, (base, others) in levels.items():
        beside = _all([mask, *(rest for other, rest in resting.items() if other != k)])
        against: tuple[Put, ...] = (None if k in resting else ((k,), (base,)),)
        without = quiet & (inputs[..., k] == base)
        for value in others:
            name = labels[k] if len(others) == 1 and base == 0 else f"{labels[k]} = {value:g}"
            at = inputs[..., k] == value
            found.append(_Found(Event(name, beside & at, without, ((k,), (value,)), against), mask & at))
    for k in continuous:
        found += [_Found(event, None) for event in _high_and_low(inputs[..., k], quiet, k, labels[k])]
    return found, quiet if resting else None


def _high_and_low(values: Tensor, quiet: Tensor, k: int, label: str) -> Iterator[Event]:
    places = torch.tensor(FIFTHS, dtype=torch.float64)
    ordered = values[quiet].sort().values
    lowest, low, lower, middle, upper, high, highest = ordered[(places * (len(ordered) - 1)).round().long()].tolist()
    without = quiet & (values >= lower) & (values <= upper)
    against: tuple[Put, ...] = (((k,), (middle,)),)
    yield Event(f"{label} high", quiet & (values >= high), without, ((k,), (highest,)), against)
    yield Event(f"{label} low", quiet & (values <= low), without, ((k,), (lowest,)), against)


def signal_changes(
    signals: Sequence[CheckedSignal], mask: Bool[Tensor, "sequence time"], direction: str
) -> Iterator[Event]:
    """Go through the changes of binary and categorical signals of few classes, as a direction reads them."""
    for signal in signals:
        if signal.is_number or signal.classes > MOST_CLASSES:
            continue
        values = torch.from_numpy(signal.values)
        labelled = mask if signal.labelled is None else torch.from_numpy(signal.labelled)
        known, before = labelled & earlier(labelled, direction), earlier(values, direction)
        for k in range(signal.classes):
            here = known & (values == k) & (before != k)
            yield Event(f"{signal.name} becomes {signal.called(k)}", here, known & (values == before))


def earlier(values: Tensor, direction: str) -> Tensor:
    """Return what stood one step before, as a direction reads; zeros before the first."""
    moved = torch.zeros_like(values)
    if direction == "forward":
        moved[:, 1:] = values[:, :-1]
    else:
        moved[:, :-1] = values[:, 1:]
    return moved


def _all(masks: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(masks)).all(0)
