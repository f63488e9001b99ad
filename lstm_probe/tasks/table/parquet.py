"""A Parquet file's rows, decoded by a child process: its pages may claim anything, and Arrow may crash over them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from lstm_probe.core.budget import current, spend
from lstm_probe.core.errors import InputError
from lstm_probe.core.limited import child_reading

_CHILD = Path(__file__).with_name("parquet_child.py")


def read_parquet(file: Path, most_columns: int) -> pa.Table:
    """Return what is in a Parquet file, within the budget of `reading`.

    Raises:
        InputError: it has more columns than are read, or takes too much memory or time, or Arrow crashes over it.
        ValueError: it is damaged, in Arrow's words.
    """
    budget = current()
    assert budget is not None
    with (
        file.open("rb") as source,
        child_reading(_CHILD, source, ["pyarrow.parquet"], [budget.left, most_columns]) as stream,
    ):
        told: dict[str, Any] = json.loads(stream.readline() or b'{"ended": true}')
        if "error" in told:
            raise ValueError(told["error"])
        if "columns" in told:
            raise InputError(f"{budget.label}: has {told['columns']} columns; at most {most_columns} are read.")
        if "bytes" in told:
            raise budget.too_large("what it claims to hold", told["bytes"])
        if "rows" not in told:
            raise EOFError
        batches = []
        try:
            with pa.ipc.open_stream(stream) as reader:
                for batch in reader:
                    spend(2 * batch.nbytes, "what it holds")  # as it is, and as pandas has it
                    batches.append(batch)
                schema = reader.schema
        except (pa.ArrowInvalid, OSError):  # the child's error, if it lived to write one, stands in the stream
            raise EOFError from None
        if not stream.read().endswith(b'{"end": true}\n'):
            raise EOFError
    table = pa.Table.from_batches(batches, schema)
    if len(table) != told["rows"]:
        raise ValueError(f"it claims {told['rows']} rows and has {len(table)}")
    return table
