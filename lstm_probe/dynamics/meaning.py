"""What a network puts out at given states of its recurrent layer, and which values of signals these states stand for.

A signal's value at a state is that of the steps of a batch at which the network's outputs were most alike, where
outputs tell that signal at all; else that of the steps from which the network came to rest there, where these agree.
Whether they do is seen on other sequences: what each sequence has of its own tells all that is constant within it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.causal.running import by_step
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.step_map import StepMap
from lstm_probe.recorder.calling import calling
from lstm_probe.recorder.kernel import Recordable, is_stepwise
from lstm_probe.recorder.leaving import undisturbed
from lstm_probe.recorder.order import Noticing, Order, axis_of, rows_of

#: Steps whose outputs are nearest, and how many are looked through.
NEAREST, LOOKED_AT = 15, 4000
#: A signal is told where so much is closed of what guessing leaves open, in so many sequences (or groups) at least.
TOLD, FEWEST = 0.8, 8
AT_ONCE = 256  # states that a model is run on


@dataclass(frozen=True)
class Told:
    """A signal whose value a state stands for.

    Attributes:
        signal: which one.
        values: at each state; NaN where it is not known.
        last: where states that ran have got to.
    """

    signal: Signal
    values: Float[np.ndarray, " state"]
    last: Float[np.ndarray, " check"]

    @property
    def is_class(self) -> bool:
        """Whether its values are classes."""
        return self.signal.kind in ("binary", "categorical")

    def named(self, state: int) -> str:
        """Return such as "bit0=1"; empty where the value is not known."""
        value = float(self.values[state])
        if not np.isfinite(value):
            return ""
        return f"{self.signal.name}={int(value) if value == int(value) else format(value, '.3g')}"


@torch.no_grad()
def outputs_at(
    model: nn.Module, batch: Batch, module: Recordable, step: StepMap, states: Float[Tensor, "state size"],
    x: Float[Tensor, " feature"] | None,
) -> Float[Tensor, "state output"] | None:  # fmt: skip
    """Return what the model puts out with its layer in these states; None where that cannot be told.

    The model itself runs, on one sequence of the batch; what its layer returns is replaced.

    Args:
        x: what the model's own inputs are then; None for those of the sequence.
    """
    longest = int(batch.lengths.argmax())
    one = batch[longest : longest + 1]
    made = []
    for part in states.split(AT_ONCE):
        many = one[torch.zeros(len(part), dtype=torch.long)]
        if x is not None:
            many = replace(many, inputs=x.to(many.inputs).expand(many.inputs.shape))
        way = calling(model, many)
        order = Order(way.arguments(many))
        hook = module.register_forward_hook(_putting(step, part, order))
        try:
            with undisturbed(model), Noticing(order):
                outputs = by_step(many, way.outputs(model(*way.arguments(many)), many))
        except InputError:
            return None
        finally:
            hook.remove()
        made.append(outputs[:, int(one.lengths[0]) - 1].double().cpu())
    return torch.cat(made) if made else None


def _putting(step: StepMap, states: Float[Tensor, "state size"], order: Order) -> Any:
    """Return a hook that puts states in the place of what a recurrent module returned, at every step."""

    def hook(module: nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        like = result[0] if isinstance(result, tuple) else result
        data = like.data if isinstance(like, PackedSequence) else like
        every = [torch.stack([states[:, place] for place in places]).to(data) for places in step.places.values()]
        top = every[0][-1]
        if is_stepwise(module):
            _expect(data.shape == top.shape and order.places(args[0], type(module).__name__) is None)
            return tuple(one[-1] for one in every) if len(every) > 1 else top
        if isinstance(like, PackedSequence):
            times = len(like.batch_sizes)
            _expect(bool((like.batch_sizes == len(top)).all()))
            rows = rows_of(like, order.places(like, type(module).__name__))
            shown: Any = like._replace(data=(top if rows is None else top[rows]).repeat(times, 1))
        else:
            axis = axis_of(module)
            _expect(data.dim() == 3 and data.shape[axis] == len(top))
            rows = rows_of(data, order.places(args[0], type(module).__name__, axis) if args else None)
            top = top if rows is None else top[rows]
            shown = top.unsqueeze(1 if module.batch_first else 0).expand(data.shape).contiguous()
        return shown, (every[0] if len(every) == 1 else tuple(every))

    return hook


def _expect(right: bool) -> None:
    if not right:
        raise InputError("the layer does not read one sequence for each of the model's")


def signals_told(
    signals: Sequence[Signal], outputs: Float[Tensor, "step output"] | None, steps: Int[Tensor, "step two"],
    at: Float[Tensor, "state output"] | None, origins: Int[Tensor, "check two"], ends: Int[np.ndarray, " check"],
    states: int, groups: Int[np.ndarray, " sequence"],
) -> list[Told]:  # fmt: skip
    """Return the signals whose values some states stand for; where there are targets among them, these alone.

    Args:
        signals: of the batch.
        outputs: of the network at some steps; None where they cannot be told.
        steps: the sequence and step of each of these.
        at: outputs at the states, and then where the states that ran have got to.
        origins: the sequence and step from which the network was left to itself.
        ends: the number of the state at which it came to rest; -1 for none of them.
        states: how many there are.
        groups: of the batch's sequences; each its own where they are independent.
    """
    found = []
    whose, came = groups[steps[:, 0].numpy()], groups[origins[:, 0].numpy()]
    alike = None if outputs is None or at is None else _Alike(outputs.numpy(), at.numpy(), whose)
    for signal in signals:
        if signal.role == "nuisance" or signal.kind == "circular":
            continue
        values = signal.values.detach().double().cpu()
        by_class = signal.kind != "continuous"
        own = None
        if alike is not None:
            own = _by_outputs(values[steps[:, 0], steps[:, 1]].numpy(), alike, by_class)
        if own is not None:
            found.append(Told(signal, own[:states], own[states:]))
            continue
        own = _by_origins(values[origins[:, 0], origins[:, 1]].numpy(), ends, states, by_class, came)
        if own is not None:
            found.append(Told(signal, own, np.where(ends >= 0, np.append(own, np.nan)[ends], np.nan)))
    return [one for one in found if one.signal.role == "target"] or found


class _Alike:
    """The steps whose outputs are nearest, looked for once for all signals that are known at the same steps."""

    def __init__(
        self, outputs: Float[np.ndarray, "step output"], at: Float[np.ndarray, "state output"],
        groups: Int[np.ndarray, " step"],
    ) -> None:  # fmt: skip
        self._outputs, self._at, self.groups = outputs, at, groups
        self._found: dict[bytes, list[Int[np.ndarray, "asked near"]]] = {}

    def nearest(self, known: Bool[np.ndarray, " step"]) -> list[Int[np.ndarray, "asked near"]]:
        """Return which of the known steps are nearest to each state; then of either half to each of the other half."""
        key = known.tobytes()
        if key not in self._found:
            outputs, first = self._outputs[known], _first_half(self.groups[known])
            pairs = (outputs, self._at), (outputs[first], outputs[~first]), (outputs[~first], outputs[first])
            self._found[key] = [_nearest(*pair) for pair in pairs]
        return self._found[key]


def _first_half(groups: Int[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
    """Return which rows are of the groups that come first, half of them all."""
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(first.argsort().argsort()[which.reshape(-1)] < len(first) // 2)


def _enough(groups: Int[np.ndarray, " row"]) -> bool:
    """Return whether there are enough groups to see in others what was found in some."""
    return len(np.unique(groups)) >= FEWEST


def _by_outputs(
    values: Float[np.ndarray, " step"], alike: _Alike, by_class: bool
) -> Float[np.ndarray, " state"] | None:  # fmt: skip
    """Return the value at the steps with the nearest outputs; None where outputs do not tell it in other sequences."""
    known = np.isfinite(values)
    values, groups = values[known], alike.groups[known]
    first, guessed = _first_half(groups), np.empty(len(values))
    if min(first.sum(), (~first).sum()) < NEAREST or not _enough(groups) or np.ptp(values) == 0:
        return None
    to_states, *across = alike.nearest(known)
    for half, near in zip((first, ~first), across):
        guessed[~half] = _usual_each(values[half][near], by_class)
    return _usual_each(values[to_states], by_class) if _closed(values, guessed, by_class) >= TOLD else None


def _nearest(
    outputs: Float[np.ndarray, "step output"], asked: Float[np.ndarray, "asked output"]
) -> Int[np.ndarray, "asked near"]:
    """Return the numbers of the nearest steps."""
    scale = np.maximum(outputs.std(0), 1e-6 * max(float(outputs.std(0).max(initial=0)), 1e-30))
    apart = torch.cdist(torch.from_numpy(asked / scale), torch.from_numpy(outputs / scale))
    near: Int[np.ndarray, "asked near"] = apart.topk(min(NEAREST, len(outputs)), largest=False).indices.numpy()
    return near


def _usual_each(near: Float[np.ndarray, "asked near"], by_class: bool) -> Float[np.ndarray, " asked"]:
    """Return the most frequent value of each row, the least of those that are as frequent; or the mean."""
    near = np.sort(near, axis=1) if by_class else near
    usual: Float[np.ndarray, " asked"] = near.mean(1)
    if by_class:
        counts = (near[:, :, None] == near[:, None]).sum(2)
        usual = near[np.arange(len(near)), counts.argmax(1)]
    return usual


def _usual(values: Float[np.ndarray, " some"], by_class: bool) -> float:
    if not by_class:
        return float(values.mean())
    each, counts = np.unique(values, return_counts=True)
    return float(each[counts.argmax()])


def _closed(values: Float[np.ndarray, " step"], guessed: Float[np.ndarray, " step"], by_class: bool) -> float:
    """Return how much is closed of what the best constant guess leaves open; below 0 for nothing."""
    if by_class:
        left, wrong = np.mean(values != _usual(values, True)), np.mean(values != guessed)
    else:
        left, wrong = values.var(), np.mean((values - guessed) ** 2)
    return float(1 - wrong / left) if left > 0 else -1.0


def _by_origins(
    values: Float[np.ndarray, " check"], ends: Int[np.ndarray, " check"], states: int, by_class: bool,
    groups: Int[np.ndarray, " check"],
) -> Float[np.ndarray, " state"] | None:  # fmt: skip
    """Return the value of the steps from which each state was reached; None where other sequences do not agree."""
    known = np.isfinite(values) & (ends >= 0)
    values, ends, groups = values[known], ends[known], groups[known]
    if not _enough(groups) or np.ptp(values) == 0:
        return None
    first, guessed = _first_half(groups), np.empty(len(values))
    for half in (first, ~first):
        own = _at_each(values[half], ends[half], states, by_class)
        guessed[~half] = np.where(np.isnan(own), _usual(values[half], by_class), own)[ends[~half]]
    return _at_each(values, ends, states, by_class) if _closed(values, guessed, by_class) >= TOLD else None


def _at_each(
    values: Float[np.ndarray, " check"], ends: Int[np.ndarray, " check"], states: int, by_class: bool
) -> Float[np.ndarray, " state"]:
    """Return the usual value of what ended at each state; NaN where nothing did."""
    own = np.full(states, np.nan)
    for state in np.unique(ends):
        own[state] = _usual(values[ends == state], by_class)
    return own


def codes_kept(told: Sequence[Told], origins: Int[Tensor, "check two"], most: int) -> dict[str, float]:
    """Return, for each combination of classes that came, in what share of cases the state that a network has got to
    still stands for it; nothing where there are more than so many combinations.
    """
    chosen = [one for one in told if one.is_class]
    if not chosen or not len(origins):
        return {}
    values = np.stack([one.signal.values.double().cpu()[origins[:, 0], origins[:, 1]].numpy() for one in chosen], 1)
    kept = (values == np.stack([one.last for one in chosen], 1)).all(1)
    known = np.isfinite(values).all(1)
    codes, which = np.unique(values[known], axis=0, return_inverse=True)
    if len(codes) > most:
        return {}
    words = [" ".join(f"{one.signal.name}={value:g}" for one, value in zip(chosen, code)) for code in codes]
    return {word: float(kept[known][which.reshape(-1) == k].mean()) for k, word in enumerate(words)}
