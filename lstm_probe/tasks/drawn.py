"""Whether what a task of somebody's own draws is what it declares, and the same when it is drawn again."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.own import task_files

#: Sequences that are drawn to see.
SEQUENCES = 8
#: Losses of class numbers.
WHOLE = ("class", "next_symbol")


def check_drawn(task: Task) -> None:
    """Raise an InputError with all that is wrong with the sequences of a task of the user's own; ours are as declared.

    They are drawn twice with one seed: a draw is to be a function of its arguments, else the same command gives other
    results. An error of the task's own code goes through.
    """
    if not task_files(task):
        return
    draws: dict[str, Callable[..., object]] = {"draw": task.sample}
    if type(task).draw_training is not Task.draw_training:
        draws["draw_training"] = task.sample_training
    problems = [f"task={task.name}: {how}: {line}." for how, draw in draws.items() for line in _problems(task, draw)]
    if problems:
        raise InputError(*problems)


def _problems(task: Task, draw: Callable[..., object]) -> list[str]:
    """Return what is wrong with what is drawn one way; more is looked at where it has the right form."""
    first, again = draw(SEQUENCES, seed=0), draw(SEQUENCES, seed=0)
    if not isinstance(first, Batch) or not isinstance(again, Batch):
        return [f"must return a Batch, not {type(again if isinstance(first, Batch) else first).__name__}"]
    if lines := list(_wrong_form(task, first)):
        return lines
    lines = list(_wrong_values(task, first))
    one, other = _tensors(first), _tensors(again)
    changed = [name for name in {**one, **other} if not _alike(one.get(name), other.get(name))]
    if changed:
        lines.append(f"drawn twice with the same seed, {', '.join(changed)} differ; all randomness must come from rng, "
                     "and nothing may be kept from one draw to the next")  # fmt: skip
    return lines


def _tensors(batch: Batch) -> dict[str, Tensor]:
    """Return everything that a batch has, by what it is called."""
    groups = {} if batch.groups is None else {"groups": batch.groups}
    return {
        "inputs": batch.inputs, "lengths": batch.lengths, **groups,
        **{f"target {name}": values for name, values in batch.targets.items()},
        **{f"scored steps of {name}": steps for name, steps in batch.scored.items()},
        **{f"signal {name}": signal.values for name, signal in batch.signals.items()},
    }  # fmt: skip


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or (one.is_floating_point() and torch.allclose(one, other, 0, 0, equal_nan=True))


def _wrong_form(task: Task, batch: Batch) -> Iterator[str]:
    """Go through what is not of the shape or type that it must have."""
    if batch.inputs.dim() != 3 or batch.inputs.shape[2] != task.n_inputs:
        yield (f"inputs of shape {tuple(batch.inputs.shape)}; must be (sequence, time, {task.n_inputs}), "
               f"as input_names has {task.n_inputs}")  # fmt: skip
        return
    steps = tuple(batch.inputs.shape[:2])
    if batch.inputs.dtype != torch.float32:
        yield f"inputs are {_kind(batch.inputs.dtype)}; must be float32"
    if batch.lengths.shape != steps[:1] or not ((batch.lengths >= 1) & (batch.lengths <= steps[1])).all():
        yield f"lengths: must be {steps[0]} whole numbers from 1 to {steps[1]}, one for each sequence"
    if batch.target_specs != task.targets:
        yield "the targets of its Batch are not those that targets declares"
    for target in task.targets:
        if target.name not in batch.targets:
            yield f"no values for target {target.name}; there are {', '.join(batch.targets) or 'none'}"
            continue
        values, shape = batch.targets[target.name], (*steps, target.size)
        shape = steps if target.loss in (*WHOLE, "binary") else shape
        kind = torch.int64 if target.loss in WHOLE else torch.float32 if target.loss == "multilabel" else values.dtype
        if values.shape != shape or values.dtype != kind:
            yield (f"target {target.name} is {_kind(values.dtype)} of shape {tuple(values.shape)}; must be "
                   f"{_kind(kind)} of shape {shape}, for loss {target.loss}")  # fmt: skip
    for name, signal in batch.signals.items():
        if signal.values.shape != steps:
            yield f"signal {name} has shape {tuple(signal.values.shape)}; must be {steps}"


def _kind(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _wrong_values(task: Task, batch: Batch) -> Iterator[str]:
    """Go through what is no number, or no class, at a step that counts."""
    if not batch.inputs[batch.mask].isfinite().all():
        yield "an input is no finite number at a real step"
    for target in task.targets:
        own = batch.targets[target.name][batch.scored_steps(target.name)]
        if target.loss in WHOLE:
            if not ((own >= 0) & (own < target.size)).all():
                yield f"target {target.name} has a class beyond 0 to {target.size - 1}"
        elif not own.isfinite().all():
            yield f"target {target.name} is no finite number at a step that counts"
        elif target.loss != "regression" and not ((own == 0) | (own == 1)).all():
            yield f"target {target.name} is neither 0 nor 1 at a step that counts, for loss {target.loss}"
