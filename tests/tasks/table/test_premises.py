"""What is taken for granted of a table and need not be so is said before anything is made of it."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.groups import LEAST_GROUPS
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing import probe_units
from lstm_probe.recorder import record
from lstm_probe.tasks import get_task
from tests.tasks.table.test_numbers import columns_of


def rows(n=40, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "sequence": np.repeat(np.arange(n), steps), "x_a": rng.normal(size=n * steps),
        "y": rng.normal(size=n * steps), "signal_w": ["cue", "cue", "delay", "end"][:steps] * n,
    })  # fmt: skip


def made(folder, table, **given):
    path = folder / "data.csv"
    table.to_csv(path, index=False)
    return get_task("table", path=str(path), **given)


def warnings_of(task):
    return [line for line in task.remarks if line.startswith("warning: ")]


def contents(task, which):
    """Each sequence's rows as bytes, by a plain loop over the file."""
    table = pd.read_csv(task.path)
    names = list(dict.fromkeys(table["sequence"]))
    return [table[table["sequence"] == names[one]].drop(columns="sequence").to_csv(index=False) for one in which]


def test_a_table_in_order_has_no_warning(tmp_path):
    assert warnings_of(made(tmp_path, rows())) == []


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("what", ["shuffled", "ids begin again", "interleaved"])
def test_rows_that_do_not_follow_one_another_are_said_where_nothing_orders_them(tmp_path, what, timed):
    table = rows().assign(time=np.tile(np.arange(4), 40))
    if what == "shuffled":
        table = table.sample(frac=1, random_state=0)
    elif what == "ids begin again":
        table = table.assign(sequence=table["sequence"] % 20, time=table["time"] + 4 * (table["sequence"] >= 20))
    else:
        table = table.sort_values("time", kind="stable")
    task = made(tmp_path, table if timed else table.drop(columns="time"))
    place = table.reset_index(drop=True).groupby("sequence").groups
    apart = sum((np.diff(list(own)) != 1).any() for own in place.values())
    assert apart > 15
    told = [line for line in warnings_of(task) if "do not follow" in line]
    assert [line.startswith(f"warning: rows of {apart} of {len(place)} sequences do not") for line in told] == (
        [] if timed else [True]
    )
    if not timed:  # the two lines that it names are of one sequence, with others between them
        first, second = (int(line) for line in re.findall(r"line (\d+)", told[0]))
        ids = table["sequence"].tolist()
        assert ids[first - 2] == ids[second - 2] != ids[first - 1] and second > first + 1


def test_one_sequence_of_which_one_row_lies_elsewhere(tmp_path):
    table = rows()
    table = pd.concat([table.iloc[1:], table.iloc[:1]])
    (line,) = warnings_of(made(tmp_path, table))
    assert line.startswith("warning: rows of 1 of 40 sequences do not follow one another in the file (after line 4 ")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_copies_of_what_is_trained_on_are_counted(tmp_path, kind):
    table = rows(30)
    table.loc[3, "y"] = np.nan  # also where a cell is empty
    again = table[table["sequence"] < 12].assign(sequence=lambda own: own["sequence"] + 100)
    table = pd.concat([table, again])
    task = made(tmp_path, table)
    held, rest = (contents(task, part) for part in task.parts)
    copies, repeats = sum(one in rest for one in held), len(held) - len({*held})
    assert copies >= 2 and repeats >= 1
    if kind == "parquet":
        table.to_parquet(tmp_path / "data.parquet", index=False)
        task = get_task("table", path=str(tmp_path / "data.parquet"))
    told = warnings_of(task)
    assert told[0].startswith(f"warning: of {len(held)} sequences that are held out of training, {copies} are, row for")
    assert re.search(rf" {repeats} repeats? another one row for row: copies are taken for sequences", told[1])
    assert len(told) == 2


def test_copies_within_a_group_are_one_sample_already(tmp_path):
    table = pd.concat([rows(), rows().assign(sequence=lambda own: own["sequence"] + 100)])
    task = made(tmp_path, table.assign(subject=table["sequence"] % 100), group_columns=["subject"])
    assert not any("row for row" in line for line in warnings_of(task))


def test_classes_that_are_only_trained_on_or_only_measured_on_are_named(tmp_path):
    table = rows().assign(y="a")
    table.loc[table.index % 4 == 1, "y"] = "b"
    task = made(tmp_path, table)
    held, rest = task.parts
    table.loc[table["sequence"] == held[0], "y"] = "only measured"
    table.loc[table["sequence"] == rest[0], ["y", "signal_w"]] = "only trained"
    assert warnings_of(made(tmp_path, table)) == [
        "warning: y: only measured: in no sequence that is trained on, so it is not learned, and in some that are held"
        " out",
        "warning: y: only trained: in no sequence that is held out, so nothing is measured of it",
        "warning: signal_w: only trained: in no sequence that is held out, so nothing is measured of it",
    ]
    assert warnings_of(made(tmp_path, table, held_out=1.0)) == []


@pytest.mark.parametrize(("subjects", "given"), [(10, {}), (15, {}), (20, {"held_out": 0.05}), (6, {}), (8, {})])
def test_of_too_few_groups_the_share_is_named_with_which_something_can_be_tested(tmp_path, subjects, given, caplog):
    table = rows(n=120)
    table["subject"] = table["sequence"] * subjects // 120
    task = made(tmp_path, table, group_columns=["subject"], **given)
    (line,) = warnings_of(task)
    count = len(np.unique(task.sample(10**6, seed=0).groups))
    assert count < LEAST_GROUPS and line.startswith(f"warning: of {subjects} groups, {count} ")
    if subjects == LEAST_GROUPS:  # one is left for the training
        assert line.endswith("(8 for a label that is constant in each)")
        return
    (share,) = re.findall(r": task\.held_out=([\d.]+) holds out enough$", line)
    better = made(tmp_path, table, group_columns=["subject"], held_out=float(share))
    assert warnings_of(better) == [] and len(better.parts[1])
    for one, enough in ((task, False), (better, True)):  # as whoever tests says it
        caplog.clear()
        batch = one.sample(10**6, seed=0)
        how = {"permutations": 99, "bootstrap": 10, "untrained": 1, "variables": ["c"], "groups": batch.groups}
        probe_units(record(SequenceModel(1, 1, 2, seed=0), batch.inputs), {"y": batch.signals["y"]}, **how)
        assert ("a signal needs 6" not in caplog.text) == enough


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_spaces_around_a_cell_are_none_of_its_name(tmp_path, mark):
    table = rows().assign(
        sequence=lambda own: "s" + own["sequence"].astype(str), signal_n=7, signal_b=True, signal_m=1.5
    )
    table.loc[3::4, "signal_n"], table.loc[2::4, "signal_b"], table.loc[1::4, "signal_m"] = 3, False, np.nan
    table.to_csv(tmp_path / "plain.csv", index=False, sep=mark)
    cells = table.astype(object).where(table.notna(), "NA")
    spaced = [[f" {cell}" if (r + c) % 3 == 0 else f"{cell}  " if (r + c) % 3 == 1 else f'"{cell} "'
               for c, cell in enumerate(row)] for r, row in enumerate(cells.to_numpy().tolist())]  # fmt: skip
    lines = [mark.join(map(str, row)) for row in ([f" {name} " for name in cells], *spaced)]
    (tmp_path / "spaced.csv").write_text("\n".join(lines) + "\n")
    plain, other = (columns_of(tmp_path / f"{name}.csv") for name in ("plain", "spaced"))
    assert list(plain) == list(other)
    for name, one in plain.items():
        assert (one.kind, one.labels) == (other[name].kind, other[name].labels)
        np.testing.assert_array_equal(one.values, other[name].values)
    batches = [get_task("table", path=str(tmp_path / f"{name}.csv")).sample(99, 0) for name in ("plain", "spaced")]
    assert batches[0].inputs.equal(batches[1].inputs) and len(batches[0]) == 12


def test_a_space_in_quotes_is_a_class(tmp_path):
    """Of a text's letters the space is one: beside texts with spaces around them, too."""
    table = rows().assign(signal_w=["a", " ", "b ", "b"] * 40)
    table.to_csv(tmp_path / "data.csv", index=False, quoting=2)
    assert columns_of(tmp_path / "data.csv")["signal_w"].labels == (" ", "a", "b")


def test_an_input_that_is_constant_where_it_is_trained_on_is_not_blown_up(tmp_path):
    """Of 112 times 0.1 the deviation is no 0, but its rounding: by it, 0.2 would be 10^15 deviations away."""
    table = rows().assign(x_c=0.1)
    held = made(tmp_path, table).parts[0]
    table.loc[table["sequence"] == held[-1], "x_c"] = 0.2
    told = made(tmp_path, table).sample(99, seed=0).inputs[..., 1]
    np.testing.assert_allclose(np.unique(told), [0, 0.1], atol=1e-7)


def test_how_columns_are_coded_is_told_so_that_others_can_do_it(tmp_path):
    """What the lines say, done to the file's numbers, gives what the network is given, and is to output."""
    table = rows().assign(x_a=lambda own: own["x_a"] * 3 + 50, x_on=[0, 1] * 80, y=lambda own: own["y"] / 7 - 2)
    table["y_word"], table["y_level"] = ["down", "up"] * 80, ["mid", "low", "mid", "top"] * 40
    task = made(tmp_path, table)
    assert len(task.coded) == 4 and not any("x_on" in line for line in task.coded)
    first, out, word, level = task.coded
    held, batch = table[table["sequence"].isin(task.parts[0])], task.sample(99, seed=0)
    formula = re.fullmatch(r"Input x_a is given as (.*)\.", first)[1]
    np.testing.assert_allclose(held.eval(formula), batch.inputs[..., 0].flatten(), rtol=1e-5, atol=1e-6)
    times, plus = map(float, re.fullmatch(r"Output y times (\S+) plus (\S+) is y\.", out).groups())
    np.testing.assert_allclose(batch.targets["y"].flatten() * times + plus, held["y"], rtol=1e-5, atol=1e-6)
    yes, no = re.fullmatch(r"Output y_word above 0 is (\w+), below 0 is (\w+)\.", word).groups()
    assert [yes if own else no for own in batch.targets["y_word"].flatten()] == held["y_word"].tolist()
    names = {number: name for name, number in re.findall(r"(\w+) \((\d)\)", level)}
    assert [names[str(own)] for own in batch.targets["y_level"].flatten().tolist()] == held["y_level"].tolist()
    assert made(tmp_path, table, standardise=False).coded == (word, level)
