"""A task's rule for any inputs, also those of two sequences spliced, against plain loops over symbols."""

import pytest
import torch

import lstm_probe as lp

RULES = {
    "tracking": [{"length": 20}, {"min_length": 12, "decay": 0.5}], "flipflop": [{"bits": 2}], "parity": [{}],
    "majority": [{"min_length": 5}], "modular_counter": [{"modulus": 3, "min_length": 8}], "heading": [{}],
    "delayed_recall": [{}, {"symbols": 3, "distractors": 0.5}], "evidence": [{}, {"classes": 2, "min_length": 9}],
    "adding": [{"length": 20}], "multiplication": [{"length": 20}], "dyck1": [{}], "dyck": [{}, {"kinds": 3}],
    "shuffle": [{}],
    "compose": [{}, {"parts": ["tracking:length=9", "dyck", "evidence"]}, {"parts": ["adding", "parity:min_length=3"]}],
}  # fmt: skip
CASES = [(name, fields) for name, every in RULES.items() for fields in every]


@pytest.mark.parametrize(("name", "fields"), CASES, ids=str)
def test_of_the_batchs_own_inputs_the_rule_says_its_targets(name, fields):
    task = lp.get_task(name, **fields)
    batch = task.sample(64, seed=3)
    said = task.relabel(batch.inputs, batch.lengths)
    assert set(said) == set(batch.targets)
    for target, own in batch.targets.items():
        at = batch.scored_steps(target)
        assert said[target].shape == own.shape
        assert torch.allclose(said[target][at].double(), own[at].double(), atol=1e-6)


def spliced(task, step, n=200):
    batch = task.sample(n, seed=5)
    inputs = batch.inputs.clone()
    inputs[:, :step] = inputs.roll(1, 0)[:, :step]
    return inputs, task.relabel(inputs, batch.lengths), batch.lengths


def test_brackets_spliced_are_told_as_far_as_they_are_brackets():
    task = lp.get_task("dyck", kinds=2, max_depth=3)
    inputs, said, lengths = spliced(task, 7)
    ends = 0
    for s in range(len(inputs)):
        stack, right = [], True
        for t in range(int(lengths[s])):
            if not inputs[s, t].any():  # the donor has ended already
                break
            line = int(inputs[s, t].argmax())
            if line < 2:
                stack.append(line)
                right &= len(stack) <= 3
            else:
                right &= bool(stack) and stack.pop() == line - 2
            told = said["legal"][s, t]
            if not right:
                ends += 1
                assert told.isnan().all()
                break
            opens = [float(len(stack) < 3)] * 2
            closes = [float(bool(stack) and stack[-1] == kind) for kind in range(2)]
            assert told.tolist() == [*opens, *closes, float(not stack)]
    assert 20 < ends < 180


def test_what_was_stored_last_is_recalled_and_nothing_where_nothing_was():
    inputs, said, lengths = spliced(lp.get_task("delayed_recall", symbols=3), 4)
    found = set()
    for s in range(len(inputs)):
        stored = -1
        for t in range(int(lengths[s])):
            if inputs[s, t, 3] > 0:
                stored = int(inputs[s, t, :3].argmax())
            assert said["recall"][s, t] == stored
        found.add(stored)
    assert found == {-1, 0, 1, 2}


def test_a_tie_is_no_answer_and_three_marks_are_no_sum():
    inputs, said, _ = spliced(lp.get_task("evidence", classes=2), 11)
    ahead = (inputs[..., 1] - inputs[..., 2]).cumsum(1)
    assert torch.equal(said["class"], torch.where(ahead > 0, 0, torch.where(ahead < 0, 1, -1)))
    inputs, said, _ = spliced(lp.get_task("adding", length=20), 11)
    for row, (values, marks) in zip(next(iter(said.values())), inputs.permute(0, 2, 1)):
        count = total = 0.0
        for told, value, mark in zip(row[:, 0].tolist(), values.tolist(), marks.tolist()):
            count, total = count + mark, total + value * mark
            assert (told != told) if count > 2 else abs(told - total) < 1e-5


def test_a_task_whose_targets_are_no_function_of_its_inputs_says_so():
    task = lp.get_task("dyck1", predict="next")
    batch = task.sample(4)
    assert task.relabel(batch.inputs, batch.lengths) is None
    task = lp.get_task("compose", parts=["parity", "dyck1:predict=next"])
    batch = task.sample(4)
    assert task.relabel(batch.inputs, batch.lengths) is None


def test_of_tasks_side_by_side_each_says_its_own():
    task = lp.get_task("compose", parts=["flipflop:bits=2", "parity"])
    inputs, said, lengths = spliced(task, 7)
    for name, lines in (("flipflop", slice(0, 2)), ("parity", slice(2, 3))):
        own = task.tasks[name].relabel(inputs[..., lines], lengths)
        for target, values in own.items():
            assert torch.equal(said[f"{name}.{target}"], values)
    assert set(said) == {target.name for target in task.targets}
