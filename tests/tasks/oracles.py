"""What the tests of tasks share: comparing a batch with a plain re-computation, step by step; a text's lines."""

from collections.abc import Callable, Sequence

import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.tasks.base import Task


def hot(lines: Sequence[float]) -> int | None:
    """Which of these one-hot lines is on; None for none."""
    assert sorted(lines)[:-1] == [0] * (len(lines) - 1) and max(lines) in (0, 1)
    return lines.index(1) if 1 in lines else None


def compare(task: Task, oracle: Callable, n: int = 40) -> None:
    """Every signal and target of every step of drawn sequences must be what the oracle says.

    The oracle gets one sequence's inputs as lists, and the task for its parameters, and returns for each step
    the signals and the targets by name; a target of None does not count at that step.
    """
    batch = task.sample(n, seed=7)
    assert batch.inputs.shape[2] == task.n_inputs
    for s in range(n):
        length = int(batch.lengths[s])
        rows = oracle(batch.inputs[s, :length].tolist(), task)
        assert set(rows[0][0]) == set(batch.signals) and set(rows[0][1]) == set(batch.targets)
        for name, signal in batch.signals.items():
            expected = torch.tensor([float(row[name]) for row, _ in rows])
            torch.testing.assert_close(signal.values[s, :length].float(), expected, rtol=0, atol=1e-5)
        for name, values in batch.targets.items():
            counts = batch.scored_steps(name)[s]
            assert counts[:length].tolist() == [row[name] is not None for _, row in rows]
            assert not counts[length:].any()
            due = torch.tensor([row[name] for _, row in rows if row[name] is not None])
            torch.testing.assert_close(values[s][counts], due.to(values.dtype), rtol=0, atol=1e-5)


def function_of_its_seed(task: Task) -> None:
    """The same seed must give the same batch, another another, and PyTorch's own must stay untouched."""
    state = torch.get_rng_state()
    one, same, other = task.sample(20, seed=1), task.sample(20, seed=1), task.sample(20, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.inputs, same.inputs) and torch.equal(one.lengths, same.lengths)
    assert all(torch.equal(one.targets[name], same.targets[name]) for name in one.targets)
    assert one.inputs.shape != other.inputs.shape or not torch.equal(one.inputs, other.inputs)


def names_all(make: Callable, problems: Sequence[str]) -> None:
    """Making a task must fail, with one line for each of these problems, in this order."""
    with pytest.raises(InputError) as caught:
        make()
    assert len(caught.value.problems) == len(problems)
    assert all(part in line for line, part in zip(caught.value.problems, problems))


def identity(case):
    """The same words in every process, so that several can share the tests."""
    return "oracle" if callable(case) else repr(case)


def lines_oracle(text):
    """Column, indentation, line length and line start, one character at a time."""
    rows, line = [], ""
    for k, character in enumerate(text):
        start = k == 0 or text[k - 1] == "\n"
        line = character if start else line + character
        body = line.lstrip(" \t")
        ended = character == "\n"
        rows.append({"column": 0 if ended else len(line), "indentation": 0 if ended else len(line) - len(body),
                     "line_length": 0 if ended else len(body), "line_start": int(start)})  # fmt: skip
    return rows
