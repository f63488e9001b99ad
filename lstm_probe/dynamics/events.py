"""What can come in at a step of a network's inputs: pulses, symbols, values that are high or low."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
LEAST_STEPS, LEAST_QUIET = 20, 0.01
#: As many events are looked at, the commonest.
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
        against: what is put in for comparison, each with its weight.
    """

    name: str
    here: Bool[Tensor, "sequence time"]
    without: Bool[Tensor, "sequence time"]
    put: Put = None
    against: Mapping[Put, float] = field(default_factory=dict)

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
        comes: by name, the steps at which an event comes that can be told from rest, alone or not: not values that
            are high or low, as one of these comes at every step.
    """

    found: tuple[Event, ...]
    free: Bool[Tensor, "sequence time"]
    comes: Mapping[str, Bool[Tensor, "sequence time"]]


def find_events(
    model: nn.Module,
    inputs: Float[Tensor, "sequence time feature"],
    mask: Bool[Tensor, "sequence time"],
    names: Sequence[str] | None = None,
) -> Events:
    """Return what can come in.

    Symbols, where each step has exactly one (one-hot, or the only number that a module with an embedding reads): each
    is compared with the others. Otherwise each feature has events of its own: one that rests at a value in most steps
    has pulses, compared with steps in which nothing comes; one of few values has each, compared with the commonest; one
    of many is high or low, compared with its middle.

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
    rows = inputs[mask]
    one_hot = width > 1 and bool(((rows == 0) | (rows == 1)).all() and (rows.sum(-1) == 1).all())
    embedded = width == 1 and any(isinstance(part, nn.Embedding) for part in model.modules())
    if one_hot or embedded:
        codes = inputs.argmax(-1) if one_hot else inputs[..., 0].long()
        shown = [labels[code] if one_hot else f"{labels[0]} {code}" for code in range(int(codes[mask].max()) + 1)]
        return _symbols(codes, mask, shown, width if one_hot else 0)
    return _features(inputs, mask, labels)


def _symbols(codes: Int[Tensor, "sequence time"], mask: Tensor, labels: Sequence[str], width: int) -> Events:
    """Return each symbol as an event; `width` is that of one-hot inputs, 0 for numbers."""
    values, counts = codes[mask].unique(return_counts=True)
    common = [(int(code), int(n)) for code, n in zip(values, counts) if n >= LEAST_STEPS]
    common = sorted(sorted(common, key=lambda one: -one[1])[:MOST_EVENTS])
    _tell_left_out(len(values) - len(common))
    puts = {code: _one_hot(code, width) if width else ((0,), (float(code),)) for code, _ in common}
    found, comes = [], {}
    for code, _ in common if len(common) > 1 else []:
        others = {other: n for other, n in common if other != code}
        whole = sum(others.values())
        against = {puts[other]: n / whole for other, n in others.items()}
        comes[labels[code]] = here = mask & (codes == code)
        found.append(Event(labels[code], here, mask & (codes != code), puts[code], against))
    return Events(tuple(found), mask, comes)


def _one_hot(code: int, width: int) -> Put:
    return tuple(range(width)), tuple(float(k == code) for k in range(width))


def _features(inputs: Tensor, mask: Tensor, labels: Sequence[str]) -> Events:
    """Return the events of each feature."""
    rests: dict[int, float] = {}  # by feature: where it rests
    levels: dict[int, tuple[float, list[float]]] = {}  # its commonest value, and the others
    continuous = []
    for k in range(len(labels)):
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
    if quiet.sum() < LEAST_QUIET * mask.sum():
        resting, quiet = {}, mask
    found: list[Event] = []
    comes = {}
    for k, (base, others) in levels.items():
        beside = _all([mask, *(rest for other, rest in resting.items() if other != k)])
        for value in others:
            name = labels[k] if len(others) == 1 and base == 0 else f"{labels[k]} = {value:g}"
            at = inputs[..., k] == value
            without = quiet & (inputs[..., k] == base)
            found.append(Event(name, beside & at, without, ((k,), (value,)), {_unless(k in resting, k, base): 1.0}))
            comes[name] = mask & at
    for k in continuous:
        found += _high_and_low(inputs[..., k], quiet, k, labels[k])
    kept = [event for event in found if event.here.sum() >= LEAST_STEPS and event.without.sum() >= LEAST_STEPS]
    commonest = sorted(kept, key=lambda event: -int(event.here.sum()))[:MOST_EVENTS]
    chosen = tuple(event for event in kept if any(event is one for one in commonest))
    _tell_left_out(len(found) - len(chosen))
    return Events(chosen, quiet, comes)


def _unless(rests: bool, feature: int, value: float) -> Put:
    """Return that nothing is put in where a feature rests anyway, else its value."""
    return None if rests else ((feature,), (value,))


def _high_and_low(values: Tensor, quiet: Tensor, k: int, label: str) -> Iterator[Event]:
    places = torch.tensor(FIFTHS, dtype=torch.float64)
    ordered = values[quiet].sort().values
    lowest, low, lower, middle, upper, high, highest = ordered[(places * (len(ordered) - 1)).round().long()].tolist()
    without = quiet & (values >= lower) & (values <= upper)
    against: dict[Put, float] = {((k,), (middle,)): 1.0}
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
            yield Event(f"{signal.name} becomes {k}", here, known & (values == before))


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


def _tell_left_out(count: int) -> None:
    if count > 0:
        log.info("%d events are rarer than %d steps or beyond the %d commonest: left out", count, LEAST_STEPS,
                 MOST_EVENTS)  # fmt: skip
