"""Catching what an LSTM did while somebody's own module ran, and comparing it with what the LSTM returned."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.cells.declared import Named
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.recorder.agreement import Check
from lstm_probe.recorder.backward import BackwardLSTM
from lstm_probe.recorder.calls import Frame, Hook, Made, Step, copied, in_backward, is_empty, one_step, version_of
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.kernel import (
    Arguments,
    KernelCall,
    Recordable,
    Watching,
    is_stepwise,
    plain_arguments,
    state_of,
)  # fmt: skip
from lstm_probe.recorder.leaving import as_written
from lstm_probe.recorder.order import Order, axis_of
from lstm_probe.recorder.premises import check_shape, check_state, check_step, check_types, check_values
from lstm_probe.recorder.replay import replay
from lstm_probe.recorder.replay_cell import replay_cell
from lstm_probe.recorder.returned import Shown
from lstm_probe.recorder.weights import Weights

#: What calls a kernel on what it was given; others may make something else of it first.
FORWARDS = (nn.LSTM.forward, nn.GRU.forward, nn.RNN.forward, BackwardLSTM.forward, GatedRNN.forward)

CAUSES = (
    "usual causes: a forward of its own, a hook or other code that changes what it returns, weights that change while "
    "it runs, dropout between layers on a GPU"
)


class Catcher:
    """All calls of one LSTM, grouped by the forward passes of the outer module in which they happened."""

    def __init__(self, name: str, lstm: Recordable, variables: Sequence[str]) -> None:
        self.name, self.lstm, self.variables = name or type(lstm).__name__, lstm, variables
        self.cell = cell_of(lstm)
        self.passes: list[list[Made | Step]] = []
        self.inside = False
        self.order = Order()
        self.refused: InputError | None = None
        self.frame: Frame | None = None
        self.calls = 0
        self._weights: tuple[list[tuple[Tensor, int | None]], Named] | None = None
        self._flat: list[Tensor] = []
        self._parts: Mapping[tuple[int, str], Weights] = {}

    def enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note that a forward pass of the outer module begins."""
        self.passes.append([])
        self.inside, self.frame = True, None
        self.order = Order((*args, *kwargs.values()))

    def leave(self, *_: object) -> None:
        """Note that it ended."""
        self.inside = False

    def notice(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], made: Any) -> None:
        """Note what a function of PyTorch's made of what."""
        self.order.notice(func, args, kwargs, made)

    def is_inside(self) -> bool:
        """Return whether a call of the LSTM is going on."""
        return self.frame is not None

    def before(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note that the LSTM is called."""
        if in_backward():
            return
        frame = Frame(args, kwargs)
        if not isinstance(self.lstm, nn.RNNCellBase) and type(self.lstm).forward in FORWARDS:
            check_shape(self.lstm, frame.given)
            check_state(self.lstm, frame.given, frame.state)
            check_types(self.lstm, frame.given, frame.state)
        self.frame = frame

    def noting(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same, whose refusals are kept: a module may catch them and go on without that call."""

        def noted(*given: Any) -> Any:
            try:
                return do(*given)
            except InputError as error:
                self.refused = error
                raise

        return noted

    def kernel(self, func: Any, args: tuple[Any, ...]) -> Any:
        """Run the kernel and record what it did."""
        if in_backward():
            return func(*args)
        if is_stepwise(self.lstm):
            made: Made | Step
            made, result = self._step(func, args)
        else:
            given = Arguments.of(args)
            check_values(given)
            if self.frame is None and given.packed is not None:
                raise InputError(f"{self.name}: its forward was called on packed sequences; call the module itself")
            random = torch.get_rng_state() if given.drops else None
            result = func(*args)
            made = self._made(given, result, random, given.lower(func, random))
        if self.frame is None:
            self.add(made)
        else:
            self.frame.keep(made, result)
        return result

    def after(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Compare what the LSTM returned with what its kernel did."""
        frame, self.frame = self.frame, None
        if frame is None:  # the call went wrong, and that was caught; or it is made again in a backward pass
            return
        if not frame.made:
            frame.made.append(self._without_kernel(frame, result))
        for made in frame.made:
            self.add(self._as_handed_in(frame, self._compared(frame, made, result)))

    def add(self, made: Made | Step) -> None:
        """Add a call to the pass that is going on; outside of any, steps of a cell and nothing else belong together."""
        if not self.passes or (not self.inside and not isinstance(made, Step)):
            self.passes.append([])
        self.passes[-1].append(made)

    def _made(
        self, given: Arguments, result: Sequence[Tensor], random: Tensor | None, lower: Sequence[Tensor] = ()
    ) -> Made:
        assert isinstance(self.lstm, nn.RNNBase | GatedRNN)
        inputs, lengths = given.padded(given.inputs)
        config = LSTMConfig.of(self.lstm)
        wide = result[0].dtype  # another one than the weights' under autocast
        call = KernelCall(
            inputs.to(wide), lengths, copied(given.state, wide), [w.detach().to(wide) for w in given.weights],
            given.bias, given.padded(result[0], copy=False)[0], copied(result[1:], wide),
            [given.padded(h, copy=False)[0] for h in lower],
            given.dropout if given.drops else 0.0, random,
        )  # fmt: skip
        again = replay if self.cell == LSTM and isinstance(self.lstm, nn.LSTM) else replay_cell
        parts, checks, h = again(call, config, self.variables, self.calls)
        self.calls += 1
        for check in checks:
            if check.step is not None:
                raise self._differs(check)
        shown = Shown(h, lengths, call.last, 1 + config.bidirectional, given.batch_first)
        # Dropout, and a state that a backward direction begins with, are at hand at no other step.
        empty = is_empty(self.cell, call.state)
        free = not call.dropout and (not config.bidirectional or empty)
        weights = self._kept(call.weights, config) if free else None
        made = Made(parts, shown, call.state, checks, empty, weights=weights)
        return made.turned("reverse") if config.backward else made

    def _kept(self, flat: Sequence[Tensor], config: LSTMConfig) -> Mapping[tuple[int, str], Weights]:
        """Return a copy of the weights by layer and direction, the last one where they are still the same."""
        if len(flat) != len(self._flat) or not all(map(torch.equal, flat, self._flat)):
            self._flat = [one.clone() for one in flat]
            every = Weights.of_flat(self._flat, len(config.parts), config.bias, self.cell)
            self._parts = dict(zip(config.parts, every))
        return self._parts

    def _differs(self, check: Check) -> InputError:
        place = f"call {check.call}, layer {check.layer} {check.direction}, first at step {check.step}"
        if not math.isfinite(check.difference):
            return InputError(
                f"{self.name}: {check.compared} is not finite ({place}): its weights are not, or too large"
            )
        return InputError(
            f"{self.name}: {check.compared} recomputed from its inputs and weights is not what the module returned "
            f"({place}): up to {check.difference:.3g} apart, where {check.tolerance:.3g} is allowed; {CAUSES}"
        )

    def _compared(self, frame: Frame, made: Made | Step, result: Any) -> Made | Step:
        """Return a call in the caller's order of sequences, once what was returned was found to be its own."""
        if isinstance(made, Step):
            told = _step_difference(made, result)
        else:
            order = None if made.shown.lengths is None else made.shown.order_of(frame.given, result)
            made = made if order is None else made[order]
            same, version = frame.result or (None, None)
            value = result[0] if isinstance(result, tuple) and len(result) else result
            if same is value and version is not None and version_of(same) == version and len(frame.made) == 1:
                return made
            told = made.shown.difference(result)
        call = self.calls - 1
        if told is None:
            raise InputError(
                f"{self.name}: call {call} returned neither its h of every step nor its last h ({_described(result)}): "
                f"what its units did cannot be compared with it; {CAUSES}"
            )
        if told[1] >= 0:
            raise InputError(
                f"{self.name}: what the module returned is not the h that its units had (call {call}, top layer, first "
                f"at step {told[1]}): up to {told[0]:.3g} apart; {CAUSES}"
            )
        return made

    def _as_handed_in(self, frame: Frame, made: Made | Step) -> Made | Step:
        """Return a call in the order of sequences, and of steps, in which they were handed to the outer module."""
        if not self.inside:
            return made
        axis = axis_of(self.lstm)
        places = self.order.places(frame.given, self.name, axis)
        if isinstance(made, Step):
            made = replace(made, place=self.order.place(frame.given))
        elif self.order.turned(frame.given, self.name, axis):
            config = LSTMConfig.of(self.lstm)
            if config.bidirectional:
                raise InputError(
                    f"{self.name}: its module hands it the steps from the last to the first, and it reads both ways: "
                    "hand them in in the order in which they are read"
                )
            made = made.turned(DIRECTIONS[not config.backward])
        return made if places is None or len(places) != len(made) else made[places.to(made.state[0].device)]

    def _without_kernel(self, frame: Frame, result: Any) -> Made | Step:
        """Return what a call would have been as a plain LSTM, for a module that computes h without the kernel.

        It is compared with what was returned like any other.
        """
        told = (
            f"{self.name}: {type(self.lstm).__name__} did not run PyTorch's own {self.cell.title}, and what it "
            f"returned is not what {self.cell.a_title} with its weights computes"
        )
        try:
            if is_stepwise(self.lstm):
                after = state_of(result)
                state = tuple(map(torch.zeros_like, after)) if frame.state is None else state_of(frame.state)
                return one_step(self.cell, frame.given, state, after, Weights.of(self.lstm).named)
            assert isinstance(self.lstm, nn.RNNBase | GatedRNN)
            given = plain_arguments(self.lstm, frame.given, frame.state)
            h = result[0].data if isinstance(result[0], PackedSequence) else result[0]
            if given.packed is None and h.dim() == 2:
                h = h.unsqueeze(0 if given.batch_first else 1)
            last = [one.unsqueeze(1) if one.dim() == 2 else one for one in state_of(result[1])]
            if isinstance(result[0], PackedSequence) and result[0].sorted_indices is not None:
                last = [one[:, result[0].sorted_indices] for one in last]
            return self._made(given, (h, *last), None)
        except InputError as error:
            raise InputError(f"{told}: {error}") from error
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError) as error:
            raise InputError(told) from error

    def _step(self, func: Any, args: tuple[Any, ...]) -> tuple[Step, Any]:
        x, given, *weights = args
        state = state_of(given)
        check_step(x, state, weights)
        result = func(*args)
        self.calls += 1
        return one_step(self.cell, x, state, result, self._as_they_are(weights)), result

    def _as_they_are(self, weights: Sequence[Tensor | None]) -> Named:
        """Return a copy of a cell's weights, the last one where they have not changed since."""
        now = [(one, version_of(one)) for one in weights if one is not None]
        then = self._weights
        if (
            then is None
            or len(then[0]) != len(now)
            or any(a is not b or v is None or v != w for (a, v), (b, w) in zip(then[0], now))
        ):
            own = {name: one.detach().clone() for name, one in zip(self.cell.weights(), weights) if one is not None}
            self._weights = now, own
            return own
        return then[1]


def _step_difference(step: Step, result: Any) -> tuple[float, int] | None:
    """Return how far what a cell returned is from what its kernel gave; the step is -1 where they are the same."""
    returned = state_of(result)
    if len(returned) != len(step.last):
        return None
    apart = 0.0
    for own, told in zip(step.last, returned):
        if not isinstance(told, Tensor) or told.numel() != own.numel():
            return None
        apart = max(apart, float((own - told.detach().view_as(own)).abs().amax()))
    return apart, -1 if apart == 0 else 0


def _described(result: Any) -> str:
    value = result[0] if isinstance(result, tuple | list) and len(result) else result
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


@contextmanager
def catching(module: nn.Module, name: str, lstm: Recordable, variables: Sequence[str]) -> Iterator[Catcher]:
    """Within this context, whatever `lstm` does is caught; then its hooks are gone."""
    catcher = Catcher(name, lstm, variables)
    hooks = []
    if module is not lstm:
        hooks += [module.register_forward_pre_hook(Hook(module, catcher.enter), with_kwargs=True)]
        hooks += [module.register_forward_hook(Hook(module, catcher.leave), always_call=True)]
    hooks.append(lstm.register_forward_pre_hook(Hook(lstm, catcher.before), with_kwargs=True))
    hooks.append(lstm.register_forward_hook(Hook(lstm, catcher.noting(catcher.after)), with_kwargs=True))
    tied = any(part is not lstm and part._parameters.get("weight_ih") is lstm._parameters.get("weight_ih")
               for part in module.modules() if isinstance(part, nn.RNNCellBase))  # fmt: skip
    try:
        with as_written(), Watching(lstm, catcher.noting(catcher.kernel), catcher.is_inside, tied, catcher.notice):
            yield catcher
    finally:
        for hook in hooks:
            hook.remove()
