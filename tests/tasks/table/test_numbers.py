"""Numbers as people write them, and what looks like numbers: read as they were meant, or named."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.tasks import get_task
from lstm_probe.tasks.table.columns import Wanted
from lstm_probe.tasks.table.data import read_data
from lstm_probe.tasks.table.file import read_table


def frame(n=20, steps=3):
    rng = np.random.default_rng(0)
    rows = n * steps
    return pd.DataFrame({
        "sequence": np.repeat(np.arange(n), steps), "x_a": rng.normal(size=rows) * 1e3,
        "x_b": rng.integers(-9, 9, rows), "y": rng.normal(size=rows), "signal_s": rng.normal(size=rows) / 1e7,
        "signal_k": ["up", "down", "1,5"] * n,
    })  # fmt: skip


def columns_of(path, **wanted):
    found = read_data(read_table(str(path)), Wanted(**wanted)).columns
    return {one.name: one for one in (*found.inputs, *found.targets, *found.signals)}


@pytest.mark.parametrize(("mark", "decimal"), [(";", ","), ("\t", ","), (";", "."), ("\t", "."), (",", ".")])
def test_decimals_behind_a_comma_or_a_point(tmp_path, mark, decimal):
    table = frame()
    table.to_csv(tmp_path / "t.csv", sep=mark, decimal=decimal, index=False)
    got = columns_of(tmp_path / "t.csv")
    for name in ("x_a", "x_b", "y", "signal_s"):
        assert np.array_equal(got[name].values, table[name])
    assert got["signal_k"].labels == ("1,5", "down", "up")


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("y", ["0,5", "1,25", "-2,0"], r"y: line 2, .* is no number: '0,5'\. Numbers have a point"),
        ("y", ["1,000", "12,500", "1,250,000"], "is no number: '1,000'"),
        ("signal_s", ["5%", "7.5%", "10 %"], "signal_s: .* is no number: '5%'"),
        ("signal_s", ["−1.5", "−2", "−0.25"], "is no number: '−1.5'"),
        ("signal_s", ["1 000", "1'000", "2_000"], "is no number: '1 000'"),
    ],
)
def test_numbers_in_another_notation_are_no_names(tmp_path, column, cells, said):
    table = frame().assign(**{column: cells * 20})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=said) as error:
        get_task("table", path=str(tmp_path / "t.csv"))
    assert len(str(error.value).splitlines()) == 1
    labels = tuple(sorted(cells))
    task = get_task("table", path=str(tmp_path / "t.csv"), categorical=[column])
    found = read_data(read_table(task.path), Wanted(categorical=(column,))).columns
    assert next(one for one in (*found.targets, *found.signals) if one.name == column).labels == labels


@pytest.mark.parametrize("cells", [["1.2.3", "1.2.4", "2.0.0"], ["3-4", "4-5", "5-6"], ["10:30", "11:00", "12:15"]])
def test_names_with_digits_are_names(tmp_path, cells):
    frame().assign(signal_s=cells * 20).to_csv(tmp_path / "t.csv", index=False)
    assert columns_of(tmp_path / "t.csv")["signal_s"].labels == tuple(cells)


def test_commas_and_points_before_decimals(tmp_path):
    table = frame().assign(y=["1,5", "2,5", "3"] * 20)
    table.to_csv(tmp_path / "t.csv", sep=";", index=False)
    with pytest.raises(InputError, match="commas before their decimals in y, and points in x_a"):
        read_table(str(tmp_path / "t.csv"))


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("cells", [["1,000", "12,500", "999"], ["-3,141", "2,718", "1,414"]])
def test_a_comma_that_may_stand_between_thousands_is_not_taken_for_decimals(tmp_path, mark, cells):
    table = frame().assign(y=cells * 20)
    whole = table.drop(columns=["x_a", "x_b", "signal_s"]).assign(x_a=1)
    whole.to_csv(tmp_path / "t.csv", sep=mark, index=False)
    with pytest.raises(InputError, match=f"{cells[0]} in y and all other numbers with a comma may have it before"):
        read_table(str(tmp_path / "t.csv"))
    whole.assign(x_a=["0,5", "1", "2"] * 20).to_csv(tmp_path / "t.csv", sep=mark, index=False)  # which says what it is
    assert columns_of(tmp_path / "t.csv")["y"].values[:2].tolist() == [float(c.replace(",", ".")) for c in cells[:2]]


DAYS = pd.Series(pd.date_range("2024-01-01", periods=60, freq="D"))


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("x_a", DAYS, r"x_a: an input must be numbers, and .* is none: Timestamp\('2024-01-01"),
        ("x_a", DAYS.dt.tz_localize("Europe/Berlin"), "x_a: an input must be numbers"),
        ("x_b", DAYS - DAYS[0], "x_b: an input must be numbers, and .* is none: Timedelta"),
        ("signal_s", [np.arange(3)] * 60, r"signal_s: .* is no number: array\(\[0, 1, 2\]\)\. A cell has one"),
        ("y", [{"a": 1}] * 60, "y: .* is no number: {'a': 1}"),
    ],
)
def test_dates_and_lists_are_no_numbers(tmp_path, column, cells, said):
    frame().assign(**{column: cells}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=said) as error:
        get_task("table", path=str(tmp_path / "t.parquet"))
    assert len(str(error.value).splitlines()) == 1


def test_dates_are_the_same_names_in_every_file(tmp_path):
    days = DAYS.where(DAYS.index % 7 != 3)
    table = frame().assign(signal_s=days)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    parquet, text = (columns_of(tmp_path / f"t.{kind}")["signal_s"] for kind in ("parquet", "csv"))
    assert parquet.labels == text.labels == tuple(f"{day:%Y-%m-%d}" for day in days.dropna())
    assert np.array_equal(parquet.values, text.values, equal_nan=True)


def test_ids_that_are_the_same_as_numbers(tmp_path):
    ids = np.repeat([f"1.{k}" for k in range(1, 21)], 3)  # 1.1 and 1.10, 1.2 and 1.20
    table = frame().assign(sequence=ids)
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=r"sequence: 1\.1 in line 2, .* has decimals, and 1\.10 would be the same"):
        get_task("table", path=str(tmp_path / "t.csv"))
    for path in (tmp_path / "t.parquet", tmp_path / "named.csv"):
        named = table.assign(sequence=ids if path.suffix == ".parquet" else [f"s{one}" for one in ids])
        named.to_parquet(path) if path.suffix == ".parquet" else named.to_csv(path, index=False)
        assert len(read_data(read_table(str(path)), Wanted()).lengths) == 20


@pytest.mark.parametrize("column", ["sequence", "subject"])
@pytest.mark.parametrize(("ways", "said"), [(("1", "01"), "1 in line 2 and 01 in line 5"),
                                            (("7", "7.0"), "7 in line 2 and 7.0 in line 5"),
                                            (("1e2", "100"), "1e2 in line 2 and 100 in line 5")])  # fmt: skip
def test_an_id_written_in_two_ways_may_be_two(tmp_path, column, ways, said):
    ids = np.repeat([*ways, *map(str, range(200, 218))], 3)
    table = frame().assign(sequence=np.repeat(np.arange(20), 3)).assign(**{column: ids})
    table.to_csv(tmp_path / "t.csv", index=False)
    groups = ["subject"] if column == "subject" else None
    with pytest.raises(InputError, match=f"{column}: {re.escape(said)} are the same number, and may be different ids"):
        get_task("table", path=str(tmp_path / "t.csv"), group_columns=groups)
    table[column] = [f"id{one}" for one in ids]
    table.to_csv(tmp_path / "named.csv", index=False)
    assert len(read_data(read_table(str(tmp_path / "named.csv")), Wanted(groups=tuple(groups or ()))).shuffled) == 20
    table[column] = [f"{k:03d}" for k in np.repeat(np.arange(20), 3)]
    table.to_csv(tmp_path / "padded.csv", index=False)
    assert len(read_data(read_table(str(tmp_path / "padded.csv")), Wanted(groups=tuple(groups or ()))).shuffled) == 20


@pytest.mark.parametrize("kind", ["csv", "str", "string", "category", "object"])
@pytest.mark.parametrize("column", ["y", "signal_k"])
def test_names_beside_empty_cells_are_whole(tmp_path, kind, column):
    names = ["catch", "cue", None, "cue trial", "größe"] * 12
    table = frame().assign(**{column: pd.Series(names).astype("str" if kind == "csv" else kind)})
    path = tmp_path / ("t.csv" if kind == "csv" else "t.parquet")
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    got = columns_of(path)[column]
    assert got.labels == ("catch", "cue", "cue trial", "größe")
    assert [None if np.isnan(code) else got.labels[int(code)] for code in got.values] == names


@pytest.mark.parametrize("start", [2**53, 2**60, 2**63])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ids_that_are_one_number_in_64_bits_with_a_point_are_told_apart(tmp_path, start, kind):
    table = frame()
    own = np.arange(len(table)) % 3
    table["signal_id"] = np.array([start + int(k) for k in own], dtype=np.uint64)
    path = tmp_path / f"t.{kind}"
    (table.to_csv if kind == "csv" else table.to_parquet)(path, index=False)
    signal = columns_of(path)["signal_id"]
    assert signal.kind == "categorical" and np.array_equal(signal.values, own)
    assert signal.labels == tuple(str(start + k) for k in range(3))


@pytest.mark.parametrize("start", [2**53, -(2**53) - 3, 2**60, 2**63])
def test_ids_of_many_digits_beside_empty_cells_are_told_apart(tmp_path, start):
    table = frame()
    own = [start + k % 3 if k % 4 else None for k in range(len(table))]
    table["signal_id"] = pd.array(own, dtype="object")
    table["signal_x"] = [2.0**70 if k else None for k in range(len(table))]
    table.to_csv(tmp_path / "t.csv", index=False)
    signal = columns_of(tmp_path / "t.csv", categorical=("signal_id",))["signal_id"]
    assert [None if np.isnan(code) else int(signal.labels[int(code)]) for code in signal.values] == own


@pytest.mark.parametrize("other", ["-1", "5"])
@pytest.mark.parametrize("empty", ["", "NA"])
def test_an_empty_cell_beside_numbers_of_64_bits_is_no_class(tmp_path, other, empty):
    own = [str(2**63), empty, other] * 20
    frame().assign(signal_id=own).to_csv(tmp_path / "t.csv", index=False)
    signal = columns_of(tmp_path / "t.csv", categorical=("signal_id",))["signal_id"]
    assert sorted(signal.labels) == sorted([own[0], other])
    assert [empty if np.isnan(code) else signal.labels[int(code)] for code in signal.values] == own


def test_ids_of_many_digits_have_names_of_their_own(tmp_path):
    table = frame()
    own = np.arange(len(table)) % 3
    table["signal_id"] = 1_700_000_000_001 + own
    table["signal_share"] = np.where(own == 0, 0.25, -1e15)
    table.to_csv(tmp_path / "t.csv", index=False)
    signals = columns_of(tmp_path / "t.csv")
    assert signals["signal_id"].labels == ("1700000000001", "1700000000002", "1700000000003")
    assert signals["signal_share"].labels == ("-1000000000000000", "0.25")


def test_large_whole_numbers_that_are_no_ids_are_numbers(tmp_path):
    table = frame()
    table["signal_ns"] = 1_700_000_000_000_000_000 + np.arange(len(table)) * 1_000_000_007
    table.to_csv(tmp_path / "t.csv", index=False)
    signal = columns_of(tmp_path / "t.csv")["signal_ns"]
    assert signal.kind == "continuous" and np.array_equal(signal.values, table["signal_ns"].astype(float))
