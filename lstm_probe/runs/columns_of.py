"""Tables of many runs in Arrow's memory: read from bytes that were compared with their digest, and put together.

One file after the other: of small files, two threads take longer than one (measured: 0.57 ms each by one, 0.75 by two).
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lstm_probe.core.columns import RUN_COLUMNS
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.fields import text
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.schema import SCHEMA, is_current, read_table

if TYPE_CHECKING:
    from lstm_probe.runs.run import Run

_TEXT = pa.dictionary(pa.int32(), pa.string())


def _texts(schema: pa.Schema) -> list[str]:
    return [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]


class TableReader:
    """Reads one analysis' table of one run after the other.

    Args:
        name: of an analysis, or "history".
        columns: which; None for all. One that a run's table does not have is left out.
    """

    def __init__(self, name: str, columns: Sequence[str] | None = None) -> None:
        self.name, self.columns = name, columns
        self.file = ANALYSES[name].file if name in ANALYSES else f"{name}.parquet"
        self._texts: list[str] = []  # columns that are read as categories: those of the file before
        self._seen: pa.Schema | None = None  # of the file before, too, read so: most are alike
        self._names: list[str] = []

    def read(self, run: "Run") -> pa.Table:
        """Return a run's table, with run, task, units and seed where it lacks them.

        Raises:
            InputError: the file is damaged.
        """
        if self.name in vars(run):  # it was read before
            held = vars(run)[self.name].copy()
            held.attrs = {}
            table = self._parsed(held.to_parquet(index=False), SCHEMA)
        else:
            table = run.read(self.file, lambda content: self._parsed(content, run.schema))
        for key in reversed(RUN_COLUMNS):
            if key not in table.column_names and (self.columns is None or key in self.columns):
                column = pa.repeat(pa.scalar(run.info[key]), len(table))
                table = table.add_column(0, key, column.cast(_TEXT) if pa.types.is_string(column.type) else column)
        return table

    def _parsed(self, content: bytes, schema: int) -> pa.Table:
        source = self._opened(content)
        if not is_current(self.name, self._names, schema):
            frame = read_table(self.name, pd.read_parquet(io.BytesIO(content)), schema)
            frame.attrs = {}
            content = frame.to_parquet(index=False)
            source = self._opened(content)
        there = self.columns and [key for key in self.columns if key in self._names]
        return source.read(columns=there, use_threads=False).replace_schema_metadata(None)

    def _opened(self, content: bytes) -> pq.ParquetFile:
        """Return a file of which all texts are read as categories; `_names` are its columns."""
        try:
            source = pq.ParquetFile(pa.BufferReader(content), read_dictionary=self._texts)
        except KeyError:  # a table without one of them
            self._texts = []
            source = pq.ParquetFile(pa.BufferReader(content))
        schema = source.schema_arrow
        if self._seen is None or not schema.equals(self._seen):
            if missed := _texts(schema):
                self._texts = [*self._texts, *missed]
                source = pq.ParquetFile(pa.BufferReader(content), read_dictionary=self._texts)
            self._seen, self._names = source.schema_arrow, source.schema_arrow.names
        return source


def put_together(tables: Sequence[pa.Table]) -> pa.Table | None:
    """Return tables as one, those without rows left out, with names that are fit to be shown; None for no rows."""
    full = [table for table in tables if len(table)]
    if not full:
        return None
    alike = all(table.schema.equals(full[0].schema) for table in full)  # else a number may be missing, or whole
    whole = pa.concat_tables(full, promote_options="none" if alike else "permissive")
    whole = whole.unify_dictionaries().combine_chunks()  # of small chunks each column has a buffer
    for k, name in enumerate(whole.column_names):
        if whole[name].type == _TEXT and any(word != clean(word) for word in _words(whole[name])):
            fit = [None if word is None else clean(word) for word in whole[name].to_pylist()]
            whole = whole.set_column(k, name, pa.array(fit, pa.string()).cast(_TEXT))
    return whole


def _words(column: pa.ChunkedArray) -> list[str]:
    return [word for chunk in column.chunks[:1] for word in chunk.dictionary.to_pylist() if word is not None]


def rows_of(table: pa.Table | None, where: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return the rows of a table in which each column has one of these values.

    Raises:
        InputError: a value that such a column cannot have.
    """
    if table is None:
        return pa.table({})
    for key, values in where.items():
        if key not in table.column_names:
            return table.slice(0, 0)
        kind = table[key].type
        column = table[key].cast(pa.string()) if kind == _TEXT else table[key]
        try:
            allowed = pa.array(values).cast(column.type)
        except (pa.ArrowException, TypeError):
            raise InputError(f"{key}={text(values)}: is no value of that column, which has {column.type}") from None
        table = table.filter(pc.is_in(column, value_set=allowed))
    return table
