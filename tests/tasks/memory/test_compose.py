"""Compositions: each part is what it would be alone, cut where the shortest ends."""

import pandas as pd
import pytest
import torch
from scipy.sparse.csgraph import connected_components

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer, evaluate
from lstm_probe.tasks import TASKS, complete_task, get_task
from lstm_probe.tasks.memory.compose import Compose, read_part, together
from tests.tasks.oracles import function_of_its_seed

PARTS = ["flipflop:bits=2", "dyck1:max_length=30", "adding", "parity:length=40,rate=0.2"]


def test_every_part_is_as_it_is_alone():
    task = Compose(PARTS)
    batch = task.sample(30, seed=4)
    assert [task.tasks[name].length for name in ("flipflop", "adding", "parity")] == [20, 20, 40]
    rng = generator(4, "compose")
    alone = {name: part.draw(30, rng) for name, part in task.tasks.items()}
    lengths = torch.stack([own.lengths for own in alone.values()]).amin(0)
    assert torch.equal(batch.lengths, lengths) and batch.inputs.shape[1] == lengths.max()
    column, outputs = 0, torch.randn(30, int(lengths.max()), task.n_outputs, generator=generator(0))
    losses = []
    for name, own in alone.items():
        time, width = batch.inputs.shape[1], own.inputs.shape[2]
        assert torch.equal(batch.inputs[..., column : column + width], own.inputs[:, :time])
        column += width
        for key, signal in own.signals.items():
            assert torch.equal(batch.signals[f"{name}.{key}"].values, signal.values[:, :time])
            assert batch.signals[f"{name}.{key}"].name == f"{name}.{key}"
        for key, values in own.targets.items():
            full = f"{name}.{key}"
            assert torch.equal(batch.targets[full], values[:, :time])
            counts = torch.arange(time) < lengths.unsqueeze(1)
            if key in own.scored:
                counts &= own.scored[key][:, :time]
            assert torch.equal(batch.scored_steps(full), counts)
            spec = next(s for s in task.targets if s.name == full)
            losses.append(spec.losses(batch.split_outputs(outputs)[full], batch.targets[full])[counts].mean())
    assert column == task.n_inputs == len(task.input_names)
    assert float(batch.loss(outputs)) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-5)


def test_a_sample_is_a_function_of_its_seed():
    function_of_its_seed(Compose(PARTS))


def test_the_same_task_twice_has_two_names():
    task = Compose(["parity", "parity:rate=0.1", "majority"])
    assert list(task.tasks) == ["parity1", "parity2", "majority"]
    batch = task.sample(5)
    assert not torch.equal(batch.targets["parity1.parity"], batch.targets["parity2.parity"])


def test_every_task_can_be_a_part():
    task = Compose([name for name in TASKS if name != "compose"])
    batch = task.sample(3)
    assert batch.inputs.shape[2] == task.n_inputs and set(batch.targets) == {t.name for t in task.targets}
    assert task.most == min(task.tasks["text"].most, task.tasks["python_source"].most)
    assert task.batches_at_once < get_task("parity").batches_at_once
    assert not any(name.startswith("text.") for name in task.sample_training(3).signals)


def test_it_is_a_configuration_like_any_other():
    whole = complete_task({"name": "compose", "parts": ["parity:length=9", "flipflop"]})
    assert whole == {"name": "compose", "parts": ["parity:length=9", "flipflop"]}
    assert get_task(**whole).sample(2).inputs.shape == (2, 9, 4)
    assert get_task("compose").parts == ["flipflop", "parity"]


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("parity", ("parity", {})),
        ("parity: length=20, rate=0.2", ("parity", {"length": 20, "rate": 0.2})),
        ("copy:every_step=true", ("copy", {"every_step": True})),
        ("text:path=a b.txt", ("text", {"path": "a b.txt"})),
    ],
)
def test_parts_are_read(part, read):
    assert read_part(part) == read


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], ["task.parts=[]: must be a list"]),
        (["parity", "parity"], ["parity is given twice"]),
        (["paritty", "flipflop:bits=0,lenght=3"], ["mean 'parity'", "mean 'length'", "bits=0: must be"]),
        (["parity:length", "compose"], ["write a part with parameters as in", "cannot be a part"]),
        (["parity:length=0"], ["task.parts: parity:length=0: length=0: must be a whole number"]),
    ],
)
def test_bad_parts_are_all_named(parts, said):
    with pytest.raises(InputError) as caught:
        Compose(parts)
    assert len(caught.value.problems) == len(said)
    for line, part in zip(caught.value.problems, said):
        assert line.startswith("task.parts") and part in line


def test_one_network_learns_two_tasks():
    task = Compose(["flipflop:bits=1,length=12", "parity:length=12"])
    model = SequenceModel(task.n_inputs, task.n_outputs, 12, seed=0)
    Trainer(model, task, steps=500, batch=64, lr=0.03).fit()
    scores = evaluate(model, task.sample(200, seed=9))
    assert scores["flipflop.bit0"] > 0.8 and scores["parity.parity"] > 0.8


def drifting(path, sequences=40):
    """A table in which each sequence's input is its own number."""
    rows = [(s, float(s), s % 2, s // 10) for s in range(sequences) for _ in range(3)]
    pd.DataFrame(rows, columns=["sequence", "x_place", "y_odd", "subject"]).to_csv(path, index=False)
    return f"table:path={path},standardise=false,held_out=1.0"


def test_neighbours_in_one_file_are_not_put_beside_neighbours_in_another(tmp_path):
    parts = [drifting(tmp_path / "a.csv"), drifting(tmp_path / "b.csv", 60)]
    batch = Compose(["parity:length=3", *parts]).sample(64, seed=1)
    first, second = batch.inputs[:, 0, 1], batch.inputs[:, 0, 2]
    assert first.tolist() == list(range(40)) and len(set(second.tolist())) == 40
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.5  # 3 standard errors


def test_groups_of_parts_stay_together(tmp_path):
    grouped = f"{drifting(tmp_path / 'a.csv')},group_columns=[subject]"
    batch = Compose(["parity:length=3", grouped]).sample(64, seed=1)
    assert torch.equal(batch.groups.unique(return_inverse=True)[1], (batch.inputs[:, 0, 1] // 10).long())
    assert Compose(["parity", "majority"]).sample(4).groups is None
    rng = generator(5)
    for _ in range(20):
        groups = [torch.randint(0, 9, (12,), generator=rng) for _ in range(2)]
        links = sum((one.unsqueeze(0) == one.unsqueeze(1)).numpy() for one in groups)
        _, expected = connected_components(links)
        assert (
            len(set(zip(together(groups).tolist(), expected)))
            == len(set(expected))
            == together(groups).unique().numel()
        )


def test_a_file_of_a_part_that_has_changed_is_another(tmp_path):
    part = drifting(tmp_path / "a.csv")
    before = Compose(["parity:length=3", part])
    assert Compose(before.parts) == before and f"path={tmp_path}/a.csv" in before.parts[1]
    drifting(tmp_path / "a.csv", 41)
    assert Compose(["parity:length=3", part]).parts != before.parts
    with pytest.raises(InputError, match="has changed: its content is not what this run was made with"):
        Compose(before.parts)
