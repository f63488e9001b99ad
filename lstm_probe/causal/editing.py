"""A model on a batch whose LSTM's state is changed at some steps while it runs; all later steps go on from there.

A clamp holds a variable for all that follows within its window; an edit is a function of the state itself, called
where a step has just been made: it puts another sequence's memory in, moves the state along a direction, or takes a
direction out of it. Everything between is one fused pass of PyTorch's own kernel.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.causal.clamp import Named
from lstm_probe.causal.clamping import Calls
from lstm_probe.causal.donors import Donor, Trace, cell_weights, tracing
from lstm_probe.causal.layers import Call, Side
from lstm_probe.causal.running import Outcome, Running
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.recorder.kernel import watching

#: Two edited runs are the same if they differ by less than this share of what the edit changes.
NEAR = 1e-3


@dataclass(frozen=True)
class Moment:
    """The state of one layer in one direction, just after a step.

    Attributes:
        layer, direction: where.
        step: which step of the sequences that was.
        sequences: which of the batch's sequences the rows are: those that have such a step.
        h, c: after the step.
        named: the layer's weights.
        x, before: what the step read, and the h before it.
    """

    layer: int
    direction: str
    step: int
    sequences: Int[Tensor, " row"]
    h: Float[Tensor, "row output"]
    c: Float[Tensor, "row unit"]
    named: Named
    x: Float[Tensor, "row feature"]
    before: Float[Tensor, "row output"]

    @cached_property
    def o(self) -> Float[Tensor, "row unit"]:
        """The output gate of the step."""
        width = self.c.shape[-1]
        w_ih, w_hh = (self.named[name][-width:] for name in ("weight_ih", "weight_hh"))
        bias = self.named["bias_ih"][-width:] + self.named["bias_hh"][-width:]
        return torch.sigmoid(self.x @ w_ih.T + self.before @ w_hh.T + bias)

    def shown(self, c: Float[Tensor, "row unit"]) -> Float[Tensor, "row output"]:
        """Return the h that goes with a memory, by the step's own output gate."""
        h = self.o * c.tanh()
        return h @ self.named["weight_hr"].T if "weight_hr" in self.named else h

    def cpu(self) -> "Moment":
        """Return the same in the memory of the processor."""
        return replace(
            self, sequences=self.sequences.cpu(), h=self.h.cpu(), c=self.c.cpu(), x=self.x.cpu(),
            before=self.before.cpu(), named={name: values.cpu() for name, values in self.named.items()},
        )  # fmt: skip

    def with_memory(self, c: Float[Tensor, "row unit"]) -> tuple[Tensor, Tensor]:
        """Return the state with another memory, and the h that goes with it; what is not changed stays as it is."""
        return self.h + (self.shown(c) - self.shown(self.c)), c


#: Given a moment, the h and c to go on with.
Edit = Callable[[Moment], tuple[Tensor, Tensor]]


@dataclass
class _Plan:
    """One edited run.

    Attributes:
        edit: what is done.
        steps: at which steps; None at all.
        begins: the step before which nothing changes, where its state is known; else None.
        ends: the step from which on nothing matters; None to the end.
        intact: the run as it is.
        order: which of the batch's sequences stand where in the kernel; None: as in the batch.
    """

    edit: Edit
    steps: Sequence[int] | None
    begins: int | None = None
    ends: int | None = None
    intact: Trace | None = None
    order: Int[Tensor, " sequence"] | None = None
    calls: Calls = field(default_factory=Calls)

    def wanted(self, step: int) -> bool:
        """Return whether there is an edit at a step."""
        return self.steps is None or step in self.steps


class Editing(Running):
    """A model on a batch, run again and again with the state of its LSTM edited.

    An edited run that changes nothing has reproduced the model's outputs, or this raises an InputError.

    Attributes:
        intact: what the model does as it is.
        resumes: whether a run can begin at its first edit, from the intact state before it, and end early.
    """

    def __init__(self, model: nn.Module, batch: Batch, *, layer: str | None = None) -> None:
        super().__init__(model, batch, layer=layer)
        self._intact: Trace | None = None
        self.resumes = False
        middle = int(batch.lengths.min()) // 2
        self._check_same(self.outputs(_nothing, [middle]), "edit", "change")
        with tracing(self.lstm) as trace:
            self._run_plan(None)
        if len(trace.calls) == 1 and isinstance(self.lstm, nn.LSTM) and not self.lstm.bidirectional:
            self._intact = trace
            self.resumes = self._early_ends_do(middle)

    def _early_ends_do(self, step: int) -> bool:
        """Return whether a run that resumes at a step and ends early gives what a whole one does up to there.

        It does not where an output depends on later steps, or on the last state.
        """
        until = step + (self.batch.inputs.shape[1] - step + 1) // 2
        whole = self.outputs(_flipped, [step]).outputs[:, :until]
        self.resumes = True
        short = self.outputs(_flipped, [step], until=until).outputs[:, :until]
        changed = (whole - self.intact.outputs[:, :until]).abs().amax()
        return bool((whole - short).abs().amax() < NEAR * changed)

    def outputs(self, edit: Edit, steps: Sequence[int] | None = None, *, until: int | None = None) -> Outcome:
        """Return what the model does with an edit.

        Args:
            edit: given a moment, the h and c to go on with; called for each layer and direction.
            steps: after which steps; None for all. In a direction that reads backwards, its next step is the one
                before.
            until: outputs from this step on need not be right (they are anything, where that is faster).
        """
        begins = min(steps) if steps and self.resumes else None
        return self._run_plan(_Plan(edit, steps, begins, until, self._intact if self.resumes else None))

    def _run_plan(self, plan: _Plan | None) -> Outcome:
        @contextmanager
        def edited() -> Iterator[None]:
            if plan is None:
                yield
                return
            before = self.lstm.register_forward_pre_hook(lambda _, given: _read_order(plan, given))
            try:
                with watching(self.lstm, lambda func, args: self._call(plan, func, args)):
                    yield
            finally:
                before.remove()

        outcome = self._run(edited)
        if plan is not None and not plan.calls.made:
            raise InputError(f"edit: {self.name or 'the LSTM'} did not run PyTorch's own LSTM, so it cannot be edited")
        return outcome

    def _call(self, plan: _Plan, func: Any, args: tuple[Any, ...]) -> Any:
        number = plan.calls.made
        plan.calls.made += 1
        if isinstance(self.lstm, nn.LSTMCell):
            return self._cell(plan, func, args, number)
        call = Call.of(func, args)
        if call.x.shape[1] != len(self.batch):
            raise InputError(
                f"edit: the module calls its LSTM with {call.x.shape[1]} sequences, not with the {len(self.batch)} of "
                "the batch"
            )
        first = plan.calls.first_step(call.given, len(call.x))
        donors = plan.intact.sides(number, call) if plan.intact is not None else {}

        def run(layer: int, side: int, one: Side) -> None:
            _run_side(plan, (layer, DIRECTIONS[side]), one, first, donors.get((layer, side)))

        made = call.through_layers(run)
        plan.calls.last = made[1:]
        return made

    def _cell(self, plan: _Plan, func: Any, args: tuple[Any, ...], number: int) -> tuple[Tensor, Tensor]:
        x, (before, _), *weights = args
        h, c = func(*args)
        if not plan.wanted(number):
            return h, c
        if len(x) != len(self.batch):
            raise InputError(f"edit: the module calls its LSTMCell with {len(x)} sequences, not with the batch's")
        rows = torch.arange(len(x), device=x.device)
        return plan.edit(Moment(0, "forward", number, rows, h, c, cell_weights(weights), x, before))


def _nothing(at: Moment) -> tuple[Tensor, Tensor]:
    return at.with_memory(at.c)


def _flipped(at: Moment) -> tuple[Tensor, Tensor]:
    return at.with_memory(-at.c)


def _read_order(plan: _Plan, given: Any) -> None:
    """Keep which of the batch's sequences stand where in a packed call."""
    plan.order = given[0].sorted_indices if given and isinstance(given[0], PackedSequence) else None


def _run_side(plan: _Plan, part: tuple[int, str], one: Side, first: int, intact: Donor | None) -> None:
    """Run one layer in one direction to its end, with its edits."""
    rows = plan.order if plan.order is not None else torch.arange(one.x.shape[1], device=one.x.device)
    if part[1] == "forward":
        begins = 0
        if intact is not None and plan.begins is not None:
            begins = min(plan.begins - first, len(one.x))
            one.h[:begins] = intact.h[:begins]
            if begins:
                last, every = one.last.clamp(max=begins - 1), torch.arange(one.x.shape[1], device=one.x.device)
                one.h0[:], one.c0[:] = intact.h[last, every], intact.c[last, every]
        ends = len(one.x) if plan.ends is None or intact is None else min(plan.ends - first, len(one.x))
        at = {k: first + k for k in range(begins, ends) if plan.wanted(first + k)}
        _run_edited(plan, part, one, (begins, ends), at, rows)
        if intact is not None and ends < len(one.x):
            one.h[ends:] = intact.h[ends:]
        return
    for length in [len(one.x)] if one.lengths is None else one.lengths.unique().tolist():
        at = {k: first + length - 1 - k for k in range(length) if plan.wanted(first + length - 1 - k)}
        if one.lengths is None:
            _run_edited(plan, part, one, (0, length), at, rows)
            return
        chosen = torch.nonzero(one.lengths == length)[:, 0]
        own = Side(one.func, one.named, one.x[:length, chosen], None, one.h0[chosen], one.c0[chosen])
        _run_edited(plan, part, own, (0, length), at, rows[chosen])
        one.h[:length, chosen], one.h0[chosen], one.c0[chosen] = own.h, own.h0, own.c0


def _run_edited(
    plan: _Plan, part: tuple[int, str], one: Side, span: tuple[int, int], at: dict[int, int], rows: Tensor
) -> None:
    """Run some steps, as they are read; `at` has the step of the sequences of each that is edited."""
    done, end = span
    for k, step in at.items():
        one.run(done, k)
        done, n, before = k, one.going_on(k), one.h0.clone()
        if not n:
            break
        one.run(k, k + 1)
        moment = Moment(*part, step, rows[:n], one.h[k, :n], one.c0[:n], one.named, one.x[k, :n], before[:n])
        h, c = plan.edit(moment)
        one.h[k, :n], one.h0[:n], one.c0[:n] = h, h, c
        done = k + 1
    one.run(done, end)
