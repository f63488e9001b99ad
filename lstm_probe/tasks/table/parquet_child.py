"""Writes a Parquet file's rows as an Arrow stream, behind a line of JSON that says whether there are any.

Runs in a process of its own with limits (`lstm_probe.core.limited`) and imports nothing of ours. The line, and the one
behind the stream: {"rows": N}, {"columns": N} or {"bytes": N} where these are too many, or {"error": WORDS}.
"""

import json
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

AT_ONCE = 2**14  # rows
CELL = 8  # bytes that a cell takes at least when it is a number of pandas's


def say(**line: Any) -> None:
    """Write a line."""
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


def main(left: int, most_columns: int) -> None:
    """Go through the file on standard input."""
    file = pq.ParquetFile(sys.stdin.buffer)
    schema, rows = file.schema_arrow, file.metadata.num_rows
    if len(schema) > most_columns:
        say(columns=len(schema))
    elif rows * len(schema) * CELL > left:
        say(bytes=rows * len(schema) * CELL)
    else:
        say(rows=rows)
        with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
            for batch in file.iter_batches(AT_ONCE):
                stream.write_batch(batch)
        say(end=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}"[:300])
