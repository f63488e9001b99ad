"""A model on a batch whose layer's state is changed at some steps while it runs; all later steps go on from there.

A clamp holds a variable for all that follows within its window; an edit is a function of the state itself, called
where a step has just been made: it puts another sequence's memory in, moves the state along a direction, or takes a
direction out of it. Of an LSTM, everything between is one fused pass of PyTorch's own kernel; other cells go by their
step.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lstm_probe.causal.clamping import Calls
from lstm_probe.causal.donors import Donor, Trace, cell_weights, tracing
from lstm_probe.causal.layers import FUSED, Call, Side, Steps
from lstm_probe.causal.moment import Edit, Moment
from lstm_probe.causal.running import Outcome, Running, own_kernel
from lstm_probe.causal.stepping import seen_sides, step_arguments, steps_read
from lstm_probe.cells.declared import State
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.recorder.calls import Frame
from lstm_probe.recorder.kernel import is_stepwise, watching
from lstm_probe.recorder.order import Noticing, Order, rows_of

#: Two edited runs are the same if they differ by less than this share of what the edit changes.
NEAR = 1e-3


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
    """A model on a batch, run again and again with the state of its LSTM, or other layer, edited.

    An edited run that changes nothing has reproduced the model's outputs, or this raises an InputError.

    Attributes:
        intact: what the model does as it is.
    """

    def __init__(self, model: nn.Module, batch: Batch, *, layer: str | None = None) -> None:
        super().__init__(model, batch, layer=layer)
        self._middle = int(batch.lengths.min()) // 2
        self._check_same(self._run_plan(_Plan(_nothing, [self._middle])), "edit", "change")

    @property
    def resumes(self) -> bool:
        """Whether a run can begin at its first edit, from the intact state before it, and end early."""
        return self._resumed is not None

    @cached_property
    def _resumed(self) -> Trace | None:
        """The intact run, from which others go on; None where they cannot."""
        with tracing(self.lstm) as trace:
            self._run_plan(None)
        alone = len(trace.calls) == 1 and not is_stepwise(self.lstm) and not self.lstm.bidirectional
        return trace if alone and self._early_ends_do(trace) else None

    def _early_ends_do(self, intact: Trace) -> bool:
        """Return whether a run that resumes at a step and ends early gives what a whole one does up to there.

        It does not where an output depends on later steps, or on the last state.
        """
        step = self._middle
        until = step + (self.batch.inputs.shape[1] - step + 1) // 2
        whole = self._run_plan(_Plan(_flipped, [step])).outputs[:, :until]
        short = self._run_plan(_Plan(_flipped, [step], step, until, intact)).outputs[:, :until]
        changed = (whole - self.intact.outputs[:, :until]).abs().amax()
        return bool((whole - short).abs().amax() < NEAR * changed)

    def outputs(self, edit: Edit, steps: Sequence[int] | None = None, *, until: int | None = None) -> Outcome:
        """Return what the model does with an edit.

        Args:
            edit: given a moment, the state to go on with; called for each layer and direction.
            steps: after which steps; None for all. In a direction that reads backwards, its next step is the one
                before.
            until: outputs from this step on need not be right (they are anything, where that is faster).
        """
        resumed = self._resumed if steps or until is not None else None  # an edit at all steps has no use of it
        begins = min(steps) if steps and resumed is not None else None
        return self._run_plan(_Plan(edit, steps, begins, until, resumed))

    def _run_plan(self, plan: _Plan | None) -> Outcome:
        if plan is None:
            return self._run(Noticing)

        @contextmanager
        def edited(order: Order) -> Iterator[None]:
            def read_order(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                plan.order = rows_of(Frame(args, kwargs).given, self._places)

            before = self.lstm.register_forward_pre_hook(read_order, with_kwargs=True)
            try:
                with watching(self.lstm, lambda func, args: self._call(plan, func, args), order.notice):
                    yield
            finally:
                before.remove()

        outcome = self._run(edited)
        if not plan.calls.made:
            name = self.name or f"the {self.cell.title}"
            raise InputError(f"edit: {name} did not run {own_kernel(self.lstm)}, so it cannot be edited")
        return outcome

    def _call(self, plan: _Plan, func: Any, args: tuple[Any, ...]) -> Any:
        number = plan.calls.made
        plan.calls.made += 1
        if is_stepwise(self.lstm):
            return self._cell(plan, func, args, number)
        fused = isinstance(self.lstm, FUSED)
        call = Call.of(func, args, None if fused else self.cell)
        if call.x.shape[1] != len(self.batch):
            raise InputError(
                f"edit: the module calls its {self.cell.title} with {call.x.shape[1]} sequences, not with the "
                f"{len(self.batch)} of the batch"
            )
        first = plan.calls.first_step(call.given, len(call.x))
        donors: Mapping[tuple[int, int], Any] = {}
        if plan.intact is not None:
            donors = plan.intact.sides(number, call) if fused else seen_sides(
                plan.intact, number, call, self.cell.state)  # fmt: skip
        back = self.from_the_end

        def run(layer: int, side: int, one: Any) -> None:
            part = layer, DIRECTIONS[side or back]
            (_run_side if fused else _run_steps)(plan, part, one, first, donors.get((layer, side)))

        made = call.through_layers(run)
        plan.calls.last = made[1:]
        return made

    def _cell(self, plan: _Plan, func: Any, args: tuple[Any, ...], number: int) -> Any:
        made = func(*args)
        number = self.batch.inputs.shape[1] - 1 - number if self.turned else number
        if not plan.wanted(number):
            return made
        x, before, named = step_arguments(self.cell, args)
        named = cell_weights(list(args[2:])) if self.cell == LSTM else named
        if len(x) != len(self.batch):
            kind = type(self.lstm).__name__
            raise InputError(f"edit: the module calls its {kind} with {len(x)} sequences, not with the batch's")
        rows = torch.arange(len(x), device=x.device)
        after = dict(zip(self.cell.state, made if isinstance(made, tuple) else (made,)))
        new = plan.edit(Moment(0, DIRECTIONS[self.turned], number, rows, after, named, x, before, self.cell))
        return new if isinstance(made, tuple) else new[0]


def _nothing(at: Moment) -> tuple[Tensor, ...]:
    return at.with_memory(at.memory)


def _flipped(at: Moment) -> tuple[Tensor, ...]:
    return at.with_memory(-at.memory)


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
        done, n, h0, c0 = k, one.going_on(k), one.h0, one.c0
        if not n:
            break
        one.run(k, k + 1)
        state, before = {"h": one.h0[:n], "c": one.c0[:n]}, {"h": h0[:n], "c": c0[:n]}
        moment = Moment(*part, step, rows[:n], state, one.named, one.x[k, :n], before)
        h, c = plan.edit(moment)
        one.h[k, :n] = h
        one.go_on_from(h, c)
        done = k + 1
    one.run(done, end)


def _run_steps(
    plan: _Plan, part: tuple[int, str], one: Steps, first: int, intact: Mapping[str, Tensor] | None
) -> None:  # fmt: skip
    """Run one layer of any cell in one direction to its end, with its edits."""
    n, names = one.x.shape[1], one.cell.state
    rows = torch.arange(n, device=one.x.device) if plan.order is None else plan.order
    begins, ends, steps = 0, len(one.x), steps_read(one, part[1], first)
    if intact is not None and part[1] == "forward":
        ends = ends if plan.ends is None else min(plan.ends - first, ends)
        one.h[ends:] = intact["h"][ends:]
        if plan.begins is not None:
            begins = min(plan.begins - first, ends)
            one.h[:begins] = intact["h"][:begins]
            if begins:
                last, every = one.last.clamp(max=begins - 1), torch.arange(n, device=one.x.device)
                one.state = tuple(intact[name][last, every] for name in names)

    def then(k: int, before: State, after: State) -> State:
        k += begins
        going = torch.arange(one.going_on(k), device=rows.device)
        new = dict(after)
        for step in steps[k, going].unique().tolist() if len(going) else ():
            if not plan.wanted(step):
                continue
            own = going[steps[k, going] == step]
            state, old = ({name: values[own] for name, values in given.items()} for given in (after, before))
            moment = Moment(*part, step, rows[own], state, one.named, one.x[k, own], old, one.cell)
            for name, values in zip(names, plan.edit(moment)):
                new[name] = new[name].index_copy(0, own, values.to(new[name].dtype))
        return new

    one.run(begins, ends, None, then)
