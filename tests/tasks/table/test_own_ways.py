"""Tables as they come: gaps, one long series, forecasts, groups, labels that are missing or given once."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.cli import main
from lstm_probe.core.errors import InputError
from lstm_probe.tasks import get_task


def written(tmp_path, rows, name="data.csv"):
    path = tmp_path / name
    if name.endswith(".parquet"):
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False)
    return str(path)


def frame(times, sequences=20, seed=0, name="time"):
    """Sequences with steps at these times; the input is a number that names the row."""
    rng = np.random.default_rng(seed)
    rows = [(f"s{s}", t, 100.0 * s + k, rng.normal()) for s in range(sequences) for k, t in enumerate(times)]
    return pd.DataFrame(rows, columns=["sequence", name, "x_row", "y_level"])


def whole(path, **settings):
    """Everything in a file, as it is."""
    return get_task("table", path=path, held_out=1.0, standardise=False, **settings).sample(10_000)


def rows_of(batch):
    """The inputs of each sequence, sorted by their first."""
    own = zip(batch.inputs[..., 0].tolist(), batch.lengths.tolist())
    return sorted(row[:length] for row, length in own)


GAPPED = {
    "business days": pd.bdate_range("2024-01-01", periods=12).strftime("%Y-%m-%d").tolist(),
    "irregular visits": [0, 1, 2, 6, 24, 72],
    "a sensor that failed": [0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2],
    "Jan 1 2000": [f"Jan {day} 2000" for day in (1, 2, 3, 7, 8)],
}


@pytest.mark.parametrize("times", GAPPED.values(), ids=GAPPED)
def test_gaps(tmp_path, times):
    rows = frame(times)
    path = written(tmp_path, rows.sample(frac=1, random_state=3))
    with pytest.raises(InputError) as caught:
        get_task("table", path=path)
    (problem,) = caught.value.problems
    assert "steps are missing" in problem and "task.gaps=accept" in problem and "task.gaps=split" in problem
    every = [[100.0 * s + k for k in range(len(times))] for s in range(20)]
    accepted = whole(path, gaps="accept")
    assert rows_of(accepted) == every and accepted.groups is None
    split = whole(path, gaps="split")
    at = pd.Series(pd.to_datetime(times) if isinstance(times[0], str) else times)
    steps = at.diff()
    cuts = (steps > 1.5 * steps.median()).cumsum()
    parts = [[row[k] for k in own] for row in every for own in cuts.groupby(cuts).groups.values() if len(own) > 1]
    assert rows_of(split) == sorted(parts)
    number = [int(row[0]) // 100 for row in split.inputs[..., 0].tolist()]
    assert (
        len({(a, b) for a, b in zip(number, split.groups.tolist())})
        == len(set(number))
        == len(set(split.groups.tolist()))
    )


@pytest.mark.parametrize("name", ["time", "step", "t"])
def test_a_column_called_time_can_be_left_out(tmp_path, name):
    rows = frame([0, 1, 2, 6, 24, 72][::-1], name=name)
    task = get_task("table", path=written(tmp_path, rows), no_time=True, held_out=1.0, standardise=False)
    assert rows_of(task.sample(99)) == [[100.0 * s + k for k in range(6)] for s in range(20)]
    assert f"not used: {name}" in "\n".join(task.remarks)
    as_input = get_task("table", path=written(tmp_path, rows), no_time=True, input_columns=[name])
    assert as_input.input_names == (name,)
    with pytest.raises(InputError, match=rf"task\.no_time=true: task\.time={name} is given too"):
        get_task("table", path=written(tmp_path, rows), no_time=True, time=name)


def series(tmp_path, steps=400, name="s.csv", **columns):
    load = np.arange(steps) + 0.5
    return written(tmp_path, pd.DataFrame({"load": load, "temp": np.sin(load), **columns}), name)


FORECAST = {"input_columns": ["load", "temp"], "target_columns": ["load"], "signal_columns": ["load", "temp"]}


@pytest.mark.parametrize("sequence", [{}, {"sequence": None}])
def test_one_long_series_is_cut_into_windows_and_forecast(tmp_path, sequence):
    path = series(tmp_path, 405)
    batch = whole(path, window=20, shift=3, **FORECAST, **sequence)
    assert rows_of(batch) == [[0.5 + 20 * k + j for j in range(20 if k < 20 else 5)] for k in range(21)]
    assert batch.groups.tolist() == [0] * 21
    now, known = batch.inputs[..., 0], batch.scored_steps("load_in_3")
    assert torch.equal(batch.targets["load_in_3"][known].squeeze(), now[known] + 3)  # across the windows' ends
    assert torch.equal(known, batch.mask & (now + 3 < 405))
    assert torch.equal(batch.signals["load"].values[batch.mask], now[batch.mask])
    ahead = batch.signals["load_in_3"].values
    assert torch.equal(ahead[known], now[known] + 3) and ahead[batch.mask & ~known].isnan().all()
    assert {name: signal.role for name, signal in batch.signals.items()} == {
        "load_in_3": "target", "load": "latent", "temp": "latent", "step": "nuisance",
    }  # fmt: skip


def test_of_one_series_the_future_is_held_out(tmp_path):
    task = get_task("table", path=series(tmp_path), window=20, shift=1, standardise=False, **FORECAST)
    held, seen = task.sample(99), task.sample_training(300)
    assert len(held) == 10 and float(held.inputs[..., 0].min()) > float(seen.inputs[..., 0].max())
    assert "20 sequences of 20 steps in 1 group; the last 10 are held out" in task.remarks[0]


def test_windows_of_several_series_are_groups(tmp_path):
    rows = frame(range(23), sequences=12)
    task = get_task("table", path=written(tmp_path, rows), window=10, standardise=False)
    held, seen = task.sample(999), task.sample_training(500)
    of = lambda batch: {int(v) // 100 for v in batch.inputs[:, 0, 0]}  # noqa: E731
    assert of(held) | of(seen) == set(range(12)) and not of(held) & of(seen)
    assert len(held) == 3 * len(of(held)) and sorted(set(held.lengths.tolist())) == [3, 10]
    pairs = {(int(x) // 100, g) for x, g in zip(held.inputs[:, 0, 0], held.groups.tolist())}
    assert len(pairs) == len(of(held)) == len(set(held.groups.tolist()))
    chosen = held[torch.tensor([4, 2])]
    assert torch.equal(chosen.groups, held.groups[torch.tensor([4, 2])])


def test_a_forecast_ends_with_its_sequence(tmp_path):
    rows = frame([0, 1, 2, 3, 10, 11, 12, 13])
    batch = whole(written(tmp_path, rows), gaps="split", shift=2, target_columns=["x_row"])
    assert batch.inputs.shape[2] == 1  # by its name it still is an input
    truth = {row: row + 2 for row in (100.0 * s + k for s in range(20) for k in (0, 1, 4, 5))}
    known = batch.scored_steps("x_row_in_2")
    assert dict(zip(batch.inputs[known][:, 0].tolist(), batch.targets["x_row_in_2"][known][:, 0].tolist())) == truth
    with pytest.raises(InputError, match=r"task\.shift=2: nothing is known ahead of a last step"):
        get_task("table", path=written(tmp_path, rows), gaps="accept", shift=2, scored="last")
    with pytest.raises(InputError, match="x_row_in_8: not given in any of the sequences held out"):
        get_task("table", path=written(tmp_path, rows), gaps="accept", shift=8, target_columns=["x_row"])


def test_one_column_in_two_roles(tmp_path):
    rows = frame(range(6))
    path = written(tmp_path, rows)
    both = get_task("table", path=path, input_columns=["x_row"], target_columns=["x_row"], signal_columns=["x_row"])
    assert both.input_names == ("x_row",) and [t.name for t in both.targets] == ["x_row"]
    assert "task.shift=1 makes it a forecast" in "\n".join(both.remarks)
    batch = both.sample(3)
    assert torch.equal(batch.inputs[..., 0], batch.targets["x_row"][..., 0])
    seen = get_task("table", path=path, signal_columns=["x_row"])  # an input by its name, and a signal
    assert seen.input_names == ("x_row",) and list(seen.sample(1).signals) == ["y_level", "x_row", "step"]
    # What is said to be the target is not seen because of its name alone.
    with pytest.raises(InputError, match="has no columns input_"):
        get_task("table", path=path, target_columns=["x_row"])


def test_groups_are_never_torn(tmp_path):
    rows = frame(range(5), sequences=30)
    number = rows["sequence"].str[1:].astype(int)
    rows["subject"], rows["day"] = "p" + (number % 10).astype(str), number % 2
    for columns, count in ((["subject"], 10), (["subject", "day"], 10), (["day"], 2)):
        task = get_task("table", path=written(tmp_path, rows), group_columns=columns, standardise=False)
        held, seen = task.sample(99), task.sample_training(400)
        key = lambda v, own=columns: tuple(int(v) // 100 % {"subject": 10, "day": 2}[c] for c in own)  # noqa: E731
        one, other = ({key(v) for v in batch.inputs[:, 0, 0]} for batch in (held, seen))
        assert not one & other and len(one | other) == count
        pairs = {(key(v), g) for v, g in zip(held.inputs[:, 0, 0], held.groups.tolist())}
        assert len(pairs) == len(one)
        assert task.input_names == ("x_row",) and f"in {count} groups" in task.remarks[0]
    again = get_task("table", path=written(tmp_path, rows.sample(frac=1, random_state=1), "again.csv"),
                     group_columns=["subject"], standardise=False)  # fmt: skip
    first = get_task("table", path=written(tmp_path, rows), group_columns=["subject"], standardise=False)
    assert rows_of(again.sample(99)) == rows_of(first.sample(99))


def test_wrong_groups(tmp_path):
    rows = frame(range(5))
    rows["x_subject"], rows["odd"] = "p", np.arange(len(rows)) % 2
    path = written(tmp_path, rows)
    with pytest.raises(InputError, match=r"task\.group_columns=odd: differs within sequence s0 \(line 3"):
        get_task("table", path=path, group_columns=["odd"])
    with pytest.raises(InputError, match=r"task\.group_columns=x_row: can't be an input too"):
        get_task("table", path=path, group_columns=["x_row"], input_columns=["x_row"])
    with pytest.raises(InputError, match="all sequences are of one group, of which none can be held out"):
        get_task("table", path=path, group_columns=["x_subject"])
    with pytest.raises(InputError, match=r"task\.group_columns=subjekt: data.csv has no such column"):
        get_task("table", path=path, group_columns=["subjekt"])
    rows.loc[7, "x_subject"] = None
    with pytest.raises(InputError, match="x_subject: no group in line 9"):
        get_task("table", path=written(tmp_path, rows), group_columns=["x_subject"])


@pytest.mark.parametrize("file", ["data.csv", "data.parquet"])
def test_a_label_of_each_sequence(tmp_path, file):
    rows = frame(range(6), sequences=24)
    number = rows["sequence"].str[1:].astype(int)
    rows["y_kind"] = number % 3
    rows["signal_same"] = np.where(number % 2, "left", "right")
    for name, given in (("signal_first", 0), ("signal_late", 4)):
        rows[name] = (number % 4).where(rows["time"] == given)
    rows["y_once"] = (number % 2).where((rows["time"] == 2) & (number > 2))
    path = written(tmp_path, rows.sample(frac=1, random_state=1), file)
    batch, task = whole(path), get_task("table", path=path)
    truth = (batch.inputs[..., 0] // 100)[batch.mask]
    for name, modulus in (("signal_first", 4), ("signal_late", 4), ("y_kind", 3)):
        assert batch.signals[name].kind == "categorical"
        assert torch.equal(batch.signals[name].values[batch.mask], truth % modulus)
    assert torch.equal(batch.signals["signal_same"].values[batch.mask], (truth + 1) % 2)
    known = batch.scored_steps("y_once")
    assert torch.equal(known, batch.mask & (batch.inputs[..., 0] // 100 > 2))
    assert torch.equal(batch.targets["y_once"][known], (batch.inputs[..., 0] // 100 % 2).long()[known])
    assert "signal_first  signal    categorical: 0, 1, 2, 3, one for each sequence" in "\n".join(task.remarks)
    last = whole(path, scored="last").scored_steps("y_once")
    assert torch.equal(last.sum(1), (batch.inputs[:, 0, 0] // 100 > 2).long())
    given = whole(path, scored="given").scored_steps("y_once")
    assert torch.equal(given.nonzero()[:, 1].unique(), torch.tensor([2]))


@pytest.mark.parametrize("file", ["data.csv", "data.parquet"])
def test_missing_labels_are_in_no_loss_and_no_score(tmp_path, file):
    rng = np.random.default_rng(0)
    rows = frame(range(8), sequences=24)
    truth = rows.copy()
    truth["y_class"], truth["signal_word"] = rng.integers(0, 3, len(rows)), rng.choice(["a", "b", "c"], len(rows))
    rows = truth.copy()
    for name in ("y_level", "y_class", "signal_word"):
        rows[name] = rows[name].where(rng.random(len(rows)) < 0.6)
    batch, full = (whole(written(tmp_path, own, name + file)) for own, name in ((rows, "some"), (truth, "all")))
    assert [t.loss for t in batch.target_specs] == ["regression", "class"]
    assert {n: s.kind for n, s in batch.signals.items()} == {n: s.kind for n, s in full.signals.items()}
    place = {row: k for k, row in enumerate(full.inputs[:, 0, 0].tolist())}
    full = full[torch.tensor([place[row] for row in batch.inputs[:, 0, 0].tolist()])]
    outputs = torch.randn(len(batch), 8, 4, generator=torch.Generator().manual_seed(0))
    losses = []
    for name in ("y_level", "y_class"):
        known = batch.scored_steps(name)
        column = rows.set_index("x_row")[name]
        assert torch.equal(
            known, torch.tensor(column.loc[batch.inputs[..., 0].flatten().tolist()].notna().to_numpy()).view_as(known)
        )
        assert torch.equal(batch.targets[name][known], full.targets[name][known])
        assert torch.equal(batch.signals[name].values.isnan(), ~known)
        own, y = batch.split_outputs(outputs)[name][known], full.targets[name][known]
        losses.append((own - y).square().mean() if name == "y_level" else torch.nn.functional.cross_entropy(own, y))
    assert batch.loss(outputs) == pytest.approx(float(sum(losses)) / 2, rel=1e-6)
    known, y = batch.scored_steps("y_level"), full.targets["y_level"][..., 0]
    r2 = 1 - (outputs[..., 0] - y)[known].double().square().sum() / (y[known] - y[known].double().mean()).square().sum()
    assert batch.scores(outputs)["y_level"] == pytest.approx(max(0.0, float(r2)), abs=1e-9)
    perfect = outputs.clone()
    perfect[..., 0] = torch.where(known, y, 99.0)
    assert batch.scores(perfect)["y_level"] == 1


def test_a_few_labels_are_not_a_label_of_each_sequence(tmp_path):
    rows = frame(range(6))
    rows["signal_few"] = (rows["x_row"] * 1.5).where(rows["sequence"].isin(["s1", "s2"]) & (rows["time"] == 3))
    rows["signal_two"] = (rows["x_row"] * 1.5).where(rows["time"].isin([2, 3]))
    values = whole(written(tmp_path, rows)).signals
    assert int((~values["signal_few"].values.isnan()).sum()) == 2
    assert int((~values["signal_two"].values.isnan()).sum()) == 40


@pytest.mark.parametrize("name", ["x_row", "y_level", "signal_s"])
@pytest.mark.parametrize("value", [1e39, -4e300, 3.5e38])
def test_values_beyond_32_bits(tmp_path, name, value):
    rows = frame(range(6)).assign(signal_s=np.arange(120) * 0.7)
    rows.loc[11, name] = value
    with pytest.raises(InputError) as caught:
        get_task("table", path=written(tmp_path, rows))
    assert str(caught.value) == f"data.csv: {name}: {value:.6g} is beyond 32-bit numbers (±3.4e+38), in line 13."
    rows.loc[11, name] = 3e38
    assert whole(written(tmp_path, rows)).inputs.isfinite().all()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["sequence", "time", "a", "b", "c"], "as in task.input_columns=[a,b] task.target_columns=[c]."),
        (["sequence", "a", "word", "b", "c"], "as in task.input_columns=[a,b] task.target_columns=[c]."),
        (["sequence", "a", "b", "y_c"], "task.input_columns: data.csv has no columns input_* or x_*; say which of its"
         " columns they are, as in task.input_columns=[a,b]."),
        (["sequence", "x_a", "b", "c"], "as in task.target_columns=[c]."),
        (["sequence", "x_a", "x_b"], "as in task.target_columns=[x_b] task.shift=1 (a forecast)."),
        (["sequence", "a"], "as in task.input_columns=[a] task.target_columns=[a] task.shift=1 (a forecast)."),
        (["subject", "a", "b"], "as in task.input_columns=[a] task.target_columns=[b]."),
    ],
)  # fmt: skip
def test_the_split_that_is_proposed_works(tmp_path, columns, said):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, len(columns))), columns=columns)
    rows[columns[0]] = np.arange(60) // 3
    if "time" in rows:
        rows["time"] = np.arange(60) % 3
    if "word" in rows:
        rows["word"] = "of"
    path = written(tmp_path, rows)
    with pytest.raises(InputError) as caught:
        get_task("table", path=path)
    assert said in str(caught.value)
    keys = [part for part in said.split() if part.startswith("task.") and "=" in part]
    named = {key.removeprefix("task."): value.rstrip(".") for key, value in (part.split("=") for part in keys)}
    settings = {k: int(v) if k == "shift" else v.strip("[]").split(",") for k, v in named.items()}
    task = get_task("table", path=path, sequence=columns[0], **settings)
    assert not {t.name for t in task.targets} & set(task.input_names)


def test_one_long_series_is_pointed_to(tmp_path):
    with pytest.raises(InputError, match=r"If all is one long series: task\.sequence=null task\.window=50"):
        get_task("table", path=series(tmp_path), input_columns=["load"], target_columns=["temp"])
    with pytest.raises(InputError, match=r"task\.sequence=null: one long series has to be cut"):
        get_task("table", path=series(tmp_path), sequence=None, input_columns=["load"], target_columns=["temp"])
    rows = frame(range(5)).rename(columns={"sequence": "trial_id"})
    with pytest.raises(InputError, match=r"Is it task\.sequence=trial_id\?"):
        get_task("table", path=written(tmp_path, rows))


def test_a_run_on_a_table_with_everything(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = frame(pd.bdate_range("2024-01-01", periods=12).strftime("%b %d %Y"), sequences=36, name="date")
    rows["subject"] = rows["sequence"].str[1:].astype(int) % 12
    rows["signal_some"] = rows["x_row"].where(rng.random(len(rows)) < 0.5)
    rows["signal_label"] = (rows["subject"] % 2).where(rows.groupby("sequence").cumcount() == 0)
    rows["y_level"] = rows.groupby("sequence")["y_level"].cumsum().where(rng.random(len(rows)) < 0.8)
    path = written(tmp_path, rows)
    told = ["probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1", "ablate.bootstrap=10"]
    settings = [f"task.path={path}", "task.time=date", "task.gaps=accept", "task.group_columns=[subject]"]
    out = f"outputs={tmp_path / 'out'}"
    assert main(["train", "task=table", *settings, "units=3", "steps=5", out, *told]) == 0
    said = capsys.readouterr()
    assert "36 sequences of 12 steps in 12 groups" in said.out + said.err
    assert "Traceback" not in said.err
    for wrong in ("task.gaps=maybe", "task.window=1", "task.shift=-1"):
        assert main(["train", "task=table", *settings[:1], wrong, out]) == 2
        assert wrong.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(("word", "counts"), [("None", True), ("NA", True), ("null", True), ("none", False)])
def test_a_class_whose_name_means_no_value_is_said(tmp_path, word, counts):
    """Of words, that is: among numbers nobody means a class by it. As many cells as were written are said."""
    rows = frame(range(8))
    rows["y_mood"] = np.tile([word, "low", "high", "low"], 40)
    rows["signal_level"] = np.where(np.arange(160) % 8 > 0, rows["y_level"].astype(str), word if counts else "")
    task = get_task("table", path=written(tmp_path, rows))
    said = [line for line in task.remarks if "read as missing" in line]
    assert said == [f'warning: y_mood: "{word}" in 40 cells: read as missing; a class needs another word'] * counts
    mood = next(c for c in task.data.columns.targets if c.name == "y_mood")
    assert len(mood.labels) == 3 - counts
