"""The user's own table: its sequences against pandas, what is kept apart, and every way in which it can be wrong."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.cli import main
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks import get_task


def frame(sequences=24, seed=0):
    """Sequences of 4 to 9 steps with an id in text, in an order that is not theirs."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(sequences):
        level = 0.0
        for hour in range(int(rng.integers(4, 10))):
            x = rng.normal(5, 3)
            level += x
            rows.append((f"s{k}", hour, x, int(rng.integers(2)), level, int(level) % 2, "abc"[hour % 3], 7 * level))
    names = ["sequence", "time", "x_a", "x_b", "y_level", "y_high", "signal_phase", "signal_scaled"]
    return pd.DataFrame(rows, columns=names).sample(frac=1, random_state=1).reset_index(drop=True)


@pytest.fixture(params=["csv", "parquet", "semicolons"])
def table(request, tmp_path):
    """A table's path and what is in it."""
    path, rows = tmp_path / ("data.parquet" if request.param == "parquet" else "data.csv"), frame()
    if request.param == "parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False, sep="," if request.param == "csv" else ";")
    return path, rows


def written(tmp_path, rows, name="data.csv"):
    path = tmp_path / name
    rows.to_csv(path, index=False)
    return str(path)


def sequences_of(rows):
    return {key: own.sort_values("time") for key, own in rows.groupby("sequence")}


def test_every_step_is_where_it_belongs(table):
    path, rows = table
    task = get_task("table", path=str(path), held_out=1.0, standardise=False)
    batch = task.sample(1000, seed=3)
    assert len(batch) == 24 and task.input_names == ("x_a", "x_b")
    assert [(t.name, t.loss, t.size) for t in task.targets] == [("y_level", "regression", 1), ("y_high", "binary", 1)]
    kinds = {name: (signal.kind, signal.role) for name, signal in batch.signals.items()}
    assert kinds == {
        "y_level": ("continuous", "target"), "y_high": ("binary", "target"), "signal_phase": ("categorical", "latent"),
        "signal_scaled": ("continuous", "latent"), "step": ("continuous", "nuisance"),
    }  # fmt: skip
    left = sequences_of(rows)
    for k, length in enumerate(batch.lengths.tolist()):
        own = batch.inputs[k, :length, 0].numpy()
        key = next(n for n, v in left.items() if len(v) == length and np.allclose(v["x_a"], own, atol=1e-5))
        truth = left.pop(key)
        assert np.allclose(batch.targets["y_level"][k, :length, 0], truth["y_level"], atol=1e-4)
        assert batch.targets["y_high"][k, :length].tolist() == truth["y_high"].tolist()
        assert ["abc"[int(v)] for v in batch.signals["signal_phase"].values[k, :length]] == list(truth["signal_phase"])
        assert (batch.inputs[k, length:] == 0).all()
    assert not left


def test_what_is_kept_apart_follows_from_the_ids_and_is_never_trained_on(tmp_path):
    rows = frame(40)
    task = get_task("table", path=written(tmp_path, rows), standardise=False)
    held, seen = task.sample(999), task.sample_training(500, seed=2)
    one = {tuple(x[:3, 0].tolist()) for x in held.inputs}
    other = {tuple(x[:3, 0].tolist()) for x in seen.inputs}
    assert len(held) == len(one) == 12 and len(other) == 28 and not one & other
    assert len(seen) == 500 and len(task.sample(5)) == 5
    shuffled = rows.sample(frac=1, random_state=5)
    again = get_task("table", path=written(tmp_path, shuffled, "again.csv"), standardise=False).sample(999)
    assert {tuple(x[:3, 0].tolist()) for x in again.inputs} == one
    share = get_task("table", path=written(tmp_path, rows), held_out=0.5)
    assert len(share.sample(999)) == 20


def test_numbers_are_brought_to_one_scale_by_what_is_trained_on(tmp_path):
    rows = frame(60)
    raw = get_task("table", path=written(tmp_path, rows), standardise=False)
    task = get_task("table", path=written(tmp_path, rows))
    for seed in (0, 1):
        plain, scaled = raw.sample(9, seed), task.sample(9, seed)
        keep = plain.mask
        assert torch.equal(plain.inputs[..., 1], scaled.inputs[..., 1])  # 0 and 1 stay
        assert torch.equal(plain.signals["y_level"].values, scaled.signals["y_level"].values)
        x, y = plain.targets["y_level"][keep].squeeze(), scaled.targets["y_level"][keep].squeeze()
        fit = np.polyfit(x.numpy(), y.numpy(), 1)
        assert np.abs(np.polyval(fit, x.numpy()) - y.numpy()).max() < 1e-4
    drawn = task.sample_training(900)
    own = {tuple(x[:4].tolist()): x[:n] for x, n in zip(drawn.inputs[..., 0], drawn.lengths)}
    steps = torch.cat(list(own.values()))
    assert len(own) == 42
    assert float(steps.mean()) == pytest.approx(0, abs=1e-5)
    assert float(steps.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_the_scored_steps():
    inputs, truth = torch.zeros(2, 3, 1), torch.tensor([[0, 1, 1], [1, 0, 0]])
    outputs = torch.tensor([[[-1.0], [2.0], [-3.0]], [[0.5], [4.0], [9.0]]])
    target = Target("yes", "binary")
    batch = Batch(inputs, {"yes": truth}, (target,), torch.tensor([3, 2]), {})
    # Right: 0, 1, not the third; right, wrong, and the sixth is padding. 3 of 5, the likelier class has 3 of 5.
    assert batch.scores(outputs)["yes"] == 0.0
    better = outputs.clone()
    better[0, 2] = 1
    assert batch.scores(better)["yes"] == pytest.approx((4 / 5 - 3 / 5) / (2 / 5))
    logits, labels = outputs[..., 0][batch.mask], truth[batch.mask].float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert batch.loss(outputs) == pytest.approx(float(expected))


def test_targets_that_count_at_some_steps_alone(tmp_path):
    rows = frame()
    last = rows["time"] == rows.groupby("sequence")["time"].transform("max")
    for scored, sparse in (("last", rows), ("given", rows.assign(y_level=rows["y_level"].where(last)))):
        task = get_task("table", path=written(tmp_path, sparse, f"{scored}.csv"), scored=scored)
        batch = task.sample(99)
        steps = batch.scored_steps("y_level")
        assert torch.equal(steps.sum(1), torch.ones(len(batch)))
        assert torch.equal(steps.int().argmax(1), batch.lengths - 1)


def test_classes(tmp_path):
    rows = frame().assign(y_level=lambda f: f["time"] % 3 * 2)  # 0, 2, 4: class numbers, of which 1 and 3 never occur
    path = written(tmp_path, rows)
    (level, high) = get_task("table", path=path).targets
    assert (level.loss, level.size, high.loss) == ("class", 5, "binary")
    assert get_task("table", path=path).sample(3).targets["y_level"].unique().tolist() == [0, 2, 4]
    assert [t.size for t in get_task("table", path=path, classes=6).targets] == [6, 6]
    assert get_task("table", path=path, continuous=["y_level"]).targets[0].loss == "regression"
    named = get_task("table", path=path, target_columns=["signal_phase"], signal_columns=["y_high"])
    assert (named.targets[0].loss, named.targets[0].size) == ("class", 3)
    with pytest.raises(InputError, match=r"task\.classes=2: y_level has 3 classes"):
        get_task("table", path=path, classes=2)


def test_it_knows_its_data(tmp_path):
    rows = frame()
    path = written(tmp_path, rows)
    made = get_task("table", path=path)
    assert len(made.content) == 64
    assert get_task("table", path=path, content=made.content) == made
    rows.loc[0, "x_a"] += 1
    written(tmp_path, rows)
    assert get_task("table", path=path).content != made.content
    with pytest.raises(InputError, match="has changed"):
        get_task("table", path=path, content=made.content)


def spoiled(**cells):
    def spoil(rows):
        rows = rows.astype(object)
        for name, value in cells.items():
            rows.loc[3, name] = value
        return rows

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoiled(sequence=None), "no sequence id in line 5"),
        (spoiled(x_a="much"), "x_a: an input must be numbers, and line 5 is none: 'much'"),
        (spoiled(x_a=None), "x_a: has no value (empty or NaN) in line 5"),
        (spoiled(x_b=np.inf), "x_b: is infinite in line 5"),
        (spoiled(y_level="x"), "y_level: line 5 is no number: 'x'"),
        (lambda rows: rows[(rows["time"] != 2) | (rows["sequence"] != "s1")], "time: steps are missing"),
        (lambda rows: rows.assign(time=rows["time"].where(rows["time"] != 2, 1)), "the same time twice"),
        (lambda rows: rows[(rows["time"] == 0) | (rows["sequence"] != "s1")], "sequence s1: only one step"),
        (lambda rows: rows.assign(time="noon"), "time: must be numbers or dates"),
        (lambda rows: rows.rename(columns={"sequence": "id"}), "task.sequence=sequence: data.csv has no such column"),
        (lambda rows: rows.rename(columns={"x_a": "a", "x_b": "b"}), "say which of its columns they are"),
        (lambda rows: rows.assign(y_high=1), "y_high: the target is the same wherever"),
        (lambda rows: rows[:0], "has no rows"),
        (lambda rows: rows[rows["sequence"].isin(["s1", "s2", "s3"])], "at least 5 are needed"),
    ],
)
def test_wrong_tables(tmp_path, spoil, said):
    path = written(tmp_path, spoil(frame()))
    with pytest.raises(InputError) as caught:
        get_task("table", path=path)
    assert said in str(caught.value) and len(caught.value.problems) <= 2
    assert all("data.csv" in line or line.startswith("task") for line in caught.value.problems)


def test_everything_wrong_is_said_at_once(tmp_path, capsys):
    rows = spoiled(sequence=None, x_a="much", x_b=None, y_level="x")(frame())
    assert main(["train", "task=table", f"task.path={written(tmp_path, rows)}", "units=zero"]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("units=zero", "sequence id", "much", "x_b", "y_level"))
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"sequence,x_a\n1,2\n1,2,3\n1\n", "names 2 fields, but line 3 has 3, line 4 has 1"),
        ("a.csv", b"sequence,x_a,x_a\n1,2,3\n", "appears twice"),
        ("a.csv", b"sequence,x_a\n1,\xff\n", "is not UTF-8"),
        ("a.xlsx", b"PK\x03\x04" + bytes(50), "must be a CSV file"),
        ("a.parquet", b"PAR1" + bytes(50), "damaged"),
        (
            "a.parquet",
            b"sequence,x_a\n1,2\n",
            r"does not begin as a Parquet file does, and its name does not end in \.csv",
        ),
        ("a", b"sequence,x_a\n1,2\n", r"does not begin as a Parquet file does, and its name does not end in \.csv"),
        ("a.csv", b'sequence,x_a\n1,"2\n', "line"),
        ("a.csv", None, "no such file"),
    ],
)
def test_wrong_files(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        get_task("table", path=str(path))
    assert len(caught.value.problems) == 1
    with pytest.raises(InputError, match="folder"):
        get_task("table", path=str(tmp_path))


@pytest.mark.parametrize(("name", "shown"), [("a\nb.csv", r"a\nb.csv"), ("a\x1b[31mb.csv", r"a\x1b[31mb.csv")])
def test_a_files_name_breaks_no_line(tmp_path, name, shown):
    """What is said of a table begins with its name, a line each."""
    rows = [f"{k // 10},{k % 3},{k % 3 + 1}" for k in range(100)]
    (tmp_path / name).write_text("sequence,x_a,y_b\n" + "\n".join(rows) + "\n")
    remarks = get_task("table", path=str(tmp_path / name)).remarks
    assert remarks[0].startswith(f"{shown}: 10 sequences of 10 steps") and not any("\n" in line for line in remarks)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"input_columns": ["x__a"]}, "task.input_columns=x__a: data.csv has no such column. Did you mean 'x_a'"),
        (
            {"input_columns": ["time"], "time": "time"},
            "is the column that says the time, and can't be two",
        ),
        ({"continuous": ["x_a"]}, "is neither a target nor a signal"),
        ({"continuous": ["y_high"], "categorical": ["y_high"]}, "is in task.categorical too"),
        ({"sequence": "sequenze"}, "Did you mean 'sequence'"),
        ({"time": "hour"}, "task.time=hour"),
        ({"held_out": 2.0}, "task.held_out=2"),
    ],
)
def test_wrong_parameters(tmp_path, parameters, said):
    with pytest.raises(InputError) as caught:
        get_task("table", path=written(tmp_path, frame()), **parameters)
    assert said in str(caught.value)


def test_nothing_to_train_on(tmp_path):
    path = written(tmp_path, frame())
    with pytest.raises(InputError, match=r"task\.held_out=1\.0: holds all"):
        get_task("table", path=path, held_out=1.0).sample_training(1)
    silent = written(tmp_path, frame().drop(columns=["y_level", "y_high"]), "silent.csv")
    with pytest.raises(InputError, match="no targets"):
        get_task("table", path=silent).sample_training(1)
    assert get_task("table", path=silent).sample(3).targets == {}


def test_what_is_shown(tmp_path):
    rows = frame().assign(signal_flat=1.0, note="free text")
    said = "\n".join(get_task("table", path=written(tmp_path, rows), scored="last").remarks)
    for part in (
        "24 sequences of 4 to 9 steps; 10 are held out of training", "signal_phase   signal    categorical: a, b, c",
        "y_high         target    binary: 0, 1, counts at the last step", "not used: note",
        "warning: never changes, so nothing can be said about it: signal_flat",
    ):  # fmt: skip
        assert part in said
    assert all(len(line) <= 100 for line in said.splitlines())


def test_dates_order_steps_too(tmp_path):
    rows = frame()
    dated = rows.assign(time=pd.Timestamp("2024-02-27") + pd.to_timedelta(rows["time"], "D"))
    one = get_task("table", path=written(tmp_path, dated, "dates.csv")).sample(5)
    assert torch.equal(one.inputs, get_task("table", path=written(tmp_path, rows)).sample(5).inputs)


def test_a_column_of_angles_is_a_circular_signal(tmp_path):
    rows = frame()
    rows["signal_heading"] = np.round(np.linspace(-3, 6.2, len(rows)), 3)
    rows["signal_phase"] = np.where(rows["x_b"] > 0, 0.0, np.pi)  # two values, and angles all the same
    path = written(tmp_path, rows)
    batch = get_task("table", path=path, circular=["signal_heading", "signal_phase"]).sample(4, seed=0)
    kinds = {name: signal.kind for name, signal in batch.signals.items()}
    assert kinds["signal_heading"] == kinds["signal_phase"] == "circular" and kinds["signal_scaled"] == "continuous"
    wrong = {
        "signal_scaled": r"task\.circular=signal_scaled: .* radians, from −2π to 2π \(these may be degrees\)",
        "y_level": r"task\.circular=y_level: a target can't be an angle: give its sine and cosine",
        "x_a": r"task\.circular=x_a: is neither a target nor a signal",
    }
    for name, message in wrong.items():
        with pytest.raises(InputError, match=message):
            get_task("table", path=path, circular=[name])
    with pytest.raises(InputError, match=r"task\.categorical=signal_heading: is in task\.circular too"):
        get_task("table", path=path, circular=["signal_heading"], categorical=["signal_heading"])
