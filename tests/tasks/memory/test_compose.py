"""Compositions: each part is what it would be alone, cut where the shortest ends."""

import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer, evaluate
from lstm_probe.tasks import TASKS, complete_task, get_task
from lstm_probe.tasks.memory.compose import Compose, read_part
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
