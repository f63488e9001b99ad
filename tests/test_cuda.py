"""On a GPU: recordings are those of a step loop in float64 on the CPU, and tables are those that the CPU makes."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.network.settings import TrainingSettings
from lstm_probe.network.stacked import StackedTrainer
from lstm_probe.network.training import trainer_of
from lstm_probe.tasks.memory.tracking import Tracking
from tests.network.test_stacked import in_double as in_double
from tests.recorder.test_exact import step_loop

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")]

#: float32 by its own, by cuDNN's products of fewer bits, and 16 bits; how far each may be from float64.
PRECISIONS = {"double": 1e-10, "float": 1e-5, "tf32": 5e-3, "half": 2e-2, "bfloat16": 1e-1, "autocast": 5e-2}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "built", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 3}, {"num_layers": 3, "bias": False}]
)
def test_what_is_recorded_is_what_a_step_loop_finds(built, packed, precision, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", precision == "tf32")
    torch.manual_seed(0)
    dtype = {"double": torch.float64, "half": torch.float16, "bfloat16": torch.bfloat16}.get(precision, torch.float32)
    lstm = nn.LSTM(5, 7, batch_first=True, **built).to("cuda", dtype)
    x = torch.randn(6, 20, 5, dtype=dtype, device="cuda")
    lengths = torch.tensor([20, 3, 7, 20, 1, 12])
    given = pack_padded_sequence(x, lengths, True, enforce_sorted=False) if packed else x
    with torch.autocast("cuda", enabled=precision == "autocast"):
        rec = lp.record(lstm, given)
    rec.check()
    again = nn.LSTM(5, 7, batch_first=True, **built).double()
    again.load_state_dict({name: values.cpu().double() for name, values in lstm.state_dict().items()})
    parts = again.num_layers * (1 + again.bidirectional)
    zeros = [torch.zeros(parts, 6, size, dtype=torch.float64) for size in (again.proj_size or 7, 7)]
    with torch.no_grad():
        truth = step_loop(again, x.cpu().double(), lengths if packed else torch.full((6,), 20), *zeros)
    assert set(rec.parts) == set(truth)
    for key, variables in truth.items():
        for name, expected in variables.items():
            got = rec[key][name].cpu().double()
            mask = rec.mask.cpu()
            worst = (got[mask] - expected[mask]).abs().max().item()
            assert worst < PRECISIONS[precision] * max(1.0, expected[mask].abs().max().item()), (key, name, worst)


def test_an_output_that_somebody_changed_is_refused():
    lstm = nn.LSTM(3, 6, batch_first=True).cuda()
    lstm.register_forward_hook(lambda module, given, made: (made[0] * 1.01, made[1]))
    with pytest.raises(lp.InputError, match="step 0"):
        lp.record(lstm, torch.randn(4, 10, 3, device="cuda"))


def test_what_runs_is_left_as_it_was():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 6, 2, dropout=0.5).cuda().train()
    x = torch.randn(11, 4, 3, device="cuda")
    before = torch.cuda.get_rng_state()
    rec = lp.record(lstm, x)
    assert torch.equal(torch.cuda.get_rng_state(), before) and lstm.training
    with pytest.raises(lp.InputError, match="dropout between layers on a GPU"), lp.recording(lstm):
        lstm(x)
    lstm.dropout = 0.0
    with lp.recording(lstm) as own:
        out, _ = lstm(x)
        out.square().mean().backward()
    own.check()
    assert rec[1].h.is_cuda and all(p.grad is not None for p in lstm.parameters())


def test_cells_in_a_loop_and_recordings_on_disk(tmp_path):
    torch.manual_seed(0)
    cell = nn.LSTMCell(3, 6).cuda()
    x = torch.randn(4, 9, 3, device="cuda")
    with lp.recording(cell) as rec:
        state = None
        for t in range(9):
            state = cell(x[:, t], state)
    torch.testing.assert_close(rec.c[:, -1].to(x), state[1], rtol=0, atol=1e-5)
    lstm = nn.LSTM(3, 6, batch_first=True).cuda()
    stored = lp.record(lstm, [x[:2], x[2:]], to=tmp_path / "stored", sequences=4)
    torch.testing.assert_close(torch.as_tensor(stored.c[:]), lp.record(lstm, x).c.cpu(), rtol=0, atol=1e-5)


PARTS = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]
FEW = {"permutations": 99, "bootstrap": 20}
#: What is asked of every kind of target.
KINDS = ("ablate_units", "timescales", "effective_dimension")
#: Tasks with every kind of target, some of whose sequences are shorter than others.
TASKS = {"dyck1": {"max_length": 12}, "copy": {}, "reber": {}, "compose": {}, "text": {"length": 12}}
#: By name: a table of a module and a batch, which is on the module's device.
TABLES = {
    "probe_units": lambda m, b: lp.probe_units(lp.record(m, b.inputs), b.signals, untrained=19, **FEW),
    "probe_populations": lambda m, b: lp.probe_populations(lp.record(m, b.inputs), b.signals, bootstrap=20),
    "partial_effects": lambda m, b: lp.partial_effects(lp.record(m, b.inputs), b.signals),
    "timescales": lambda m, b: lp.timescales(m, b),
    "ablate_units": lambda m, b: lp.ablate_units(m, b, bootstrap=20),
    "resample": lambda m, b: lp.ablate_units(m, b, mode="resample", bootstrap=20, window=(5, 9)),
    "ablate_sets": lambda m, b: lp.ablate_sets(m, b, [[0, 1], [2]], bootstrap=20),
    "needed_sets": lambda m, b: lp.needed_sets(m, b),
    "unit_shares": lambda m, b: lp.unit_shares(m, b, pairs=10),
    "sufficient_units": lambda m, b: lp.sufficient_units(m, b),
    "unit_pairs": lambda m, b: lp.unit_pairs(m, b, bootstrap=20),
    "patch_units": lambda m, b: lp.patch_units(m, b),
    "erase_signals": lambda m, b: lp.erase_signals(m, b, b.signals),
    "steer": lambda m, b: lp.steer(m, b, b.signals),
    "memory_flow": lambda m, b: lp.memory_flow(m, b, b.signals),
    "used_units": lambda m, b: lp.used_units(m, b),
    "effective_dimension": lambda m, b: lp.effective_dimension(m, b),
    "shrink": lambda m, b: lp.shrink(m, b).table,
}


def same(got, expected):
    """Two tables are the same but for rounding, and controls, whose directions each device draws by its own root."""
    assert list(got) == list(expected) and len(got) == len(expected)
    for column in expected:
        if column.startswith("control") or (column == "p_value" and "controls" in expected):
            continue
        if pd.api.types.is_float_dtype(expected[column]):
            np.testing.assert_allclose(got[column], expected[column], rtol=5e-3, atol=5e-3, err_msg=column)
        else:
            assert got[column].map(str).tolist() == expected[column].map(str).tolist(), column


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_the_cpu(name, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net = lp.planted.combine(PARTS, 5, listening=True, seed=3)
    batch = net.sample(96, length=30, seed=1)
    expected = TABLES[name](net.model, batch)
    same(TABLES[name](net.model.cuda(), batch.to("cuda")), expected)


def untrained(name):
    """A network of two layers with projection for a task, and a batch of it."""
    task = lp.get_task(name, **TASKS[name])
    return lp.SequenceModel(task.n_inputs, task.n_outputs, 3, layers=2, projection=2), task.sample(40, seed=1)


@pytest.mark.parametrize("table", KINDS)
@pytest.mark.parametrize("name", TASKS)
def test_tables_of_every_kind_of_target_are_those_of_the_cpu(name, table, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model, batch = untrained(name)
    expected = TABLES[table](model, batch)
    same(TABLES[table](model.cuda(), batch.to("cuda")), expected)


def test_fixed_points_are_those_of_the_cpu():
    torch.manual_seed(1)
    lstm = nn.LSTM(2, 6, batch_first=True)
    with torch.no_grad():
        lstm.weight_hh_l0.mul_(4)
    found = [lp.fixed_points(lstm.to(device), inputs=[0.0, 0.0], seed=0) for device in ("cpu", "cuda")]
    ours, theirs = (np.sort(np.stack(table["c"].tolist()), axis=0) for table in found)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


QUICK = [
    "task=tracking",
    "task.length=20",
    "units=8",
    "steps=60",
    "evaluate_every=30",
    "device=cuda",
    "probe.permutations=49",
]


def test_a_run_trained_twice_is_the_same_and_opens_anywhere(tmp_path):
    tables = []
    for place in ("a", "b"):
        assert main(["train", *QUICK, f"outputs={tmp_path / place}"]) == 0
        ((run,), problems) = lp.find_runs(tmp_path / place)
        assert not problems
        assert next(run.model.parameters()).device.type == "cpu"
        tables.append((run.history.drop(columns="seconds"), run.probes, run.ablations))
    for one, other in zip(*tables):
        pd.testing.assert_frame_equal(one, other)
    assert main(["probe", f"run={run.path}", "probe.lags=[0,2]"]) == 0


@pytest.mark.usefixtures("in_double")
def test_members_of_a_stack_learn_what_they_do_alone():
    settings = {"steps": 52, "evaluate_every": 4, "stop_when_solved": False, "units": 8, "batch": 32, "device": "cuda"}
    alone, together = (
        [trainer_of(TrainingSettings(seed=seed, **settings), Tracking(length=20)) for seed in range(4)]
        for _ in range(2)
    )
    StackedTrainer(together).fit()
    for one, other in zip(alone, together, strict=True):
        expected, got = one.fit().value, other.history().value
        assert got.tolist() == pytest.approx(expected.tolist(), rel=1e-7, abs=1e-9)
