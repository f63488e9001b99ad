"""Tables and texts that claim much, or are none: one short error."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_probe.core.budget import at_most
from lstm_probe.core.errors import InputError
from lstm_probe.tasks import get_task
from lstm_probe.tasks.table.file import MOST_COLUMNS, read_table


def refused(path, match, task="table", **more):
    with pytest.raises(InputError, match=match) as error:
        get_task(task, path=str(path), **more)
    assert len(str(error.value)) < 1000


def frame(n=12, steps=3):
    rows = n * steps
    return pd.DataFrame({
        "sequence": np.repeat(np.arange(n), steps), "time": np.tile(np.arange(steps), n),
        "x": np.linspace(-1, 1, rows), "y": np.sqrt(np.arange(rows)), "signal_kind": ["up", "down", "flat"] * n,
        "when": pd.date_range("2024-01-01", periods=rows), "signal_on": [True, False, None] * n,
    })  # fmt: skip


def test_parquet_gives_what_pandas_gives(tmp_path):
    table = frame()
    for k, one in enumerate((table, table.set_index("sequence"), table.set_index(["sequence", "time"]))):
        one.to_parquet(tmp_path / f"{k}.parquet")
        got = read_table(str(tmp_path / f"{k}.parquet")).frame
        pd.testing.assert_frame_equal(got, pd.read_parquet(tmp_path / f"{k}.parquet").reset_index(drop=k == 0))
        assert list(got.columns) == list(table.columns)


@pytest.mark.parametrize("index", [["x"], ["x", "time"]])
def test_an_index_with_a_columns_name(tmp_path, index):
    one = frame().set_index(index, drop=False)
    one.to_parquet(tmp_path / "t.parquet")
    refused(tmp_path / "t.parquet", f"{', '.join(index)}: a column's name appears twice")


def test_columns_of_the_same_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1.0, 2.0])] * 3, ["x", "y", "x"])
    pq.write_table(table, tmp_path / "t.parquet")
    refused(tmp_path / "t.parquet", "x: a column's name appears twice")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_wide_tables(tmp_path, kind):
    names = [f"x{k}" for k in range(MOST_COLUMNS + 1)]
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text(f"{','.join(names)}\n{','.join('0' * len(names))}\n")
    else:
        pq.write_table(pa.Table.from_arrays([pa.array([0.0])] * len(names), names), path)
    refused(path, f"has {MOST_COLUMNS + 1} columns; at most {MOST_COLUMNS} are read")


def test_row_counts_that_a_few_bytes_claim(tmp_path):
    table = pa.table({name: pa.array(np.zeros(3_000_000)) for name in ("sequence", "x", "y")})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with at_most(50_000_000):
        refused(tmp_path / "t.parquet", "what it claims to hold takes 72.0 MB; 50.0 MB are left of max_bytes=50000000")


@pytest.mark.parametrize("text", ["a" * 100_000, "é" * 50_000])
def test_texts_in_pages_that_repeat_them(tmp_path, text):
    table = pa.table({"sequence": np.zeros(4000), "x": pa.array([text] * 4000)})
    pq.write_table(table, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 200_000
    with at_most(100_000_000):
        refused(tmp_path / "t.parquet", "left of max_bytes|fails on it|is damaged")


def test_csv_cells_are_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sequence,x,y\n" + "1,a,b\n" * 20_000)
    with at_most(3_000_000):
        refused(path, "what it holds takes .* left of max_bytes=3000000")


@pytest.mark.parametrize(("name", "task"), [("t.csv", "table"), ("t.parquet", "table"), ("t.txt", "text"),
                                            ("t.py", "python_source")])  # fmt: skip
def test_what_is_no_file(tmp_path, name, task):
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "is a pipe or a device", task)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    refused(tmp_path / f"zero-{name}", "is a pipe or a device", task)


@pytest.mark.parametrize(("text", "takes"), [("a" * 3_000_000, None), ("a" * 2_000_000 + "𝄞", "8.0 MB")])
def test_texts_take_what_their_widest_character_takes(tmp_path, text, takes):
    path = tmp_path / "t.txt"
    path.write_text(text, encoding="utf-8")
    with at_most(8_000_000):
        if takes is None:
            assert len(get_task("text", path=str(path)).corpus.training) > 2_000_000
        else:
            refused(path, f"its text takes {takes}", "text")
