"""A store of many runs, really written: copies of a finished one that differ in seed, settings and scores.

Every copy is whole: named after its configuration, its tables with its own name and seed, its digests right, so that
`runs check=true` has nothing to say of it. Only its numbers are those of the run that was copied, but for its scores.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_probe.core.digests import sealed
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.making import LEARNED
from lstm_probe.runs.plain import to_yaml
from lstm_probe.runs.run import Run
from lstm_probe.runs.store import config_hash

#: Values of lr that copies have in turn.
RATES = (0.003, 0.01, 0.03, 0.1)


def write_copies(
    run: Run, outputs: Path, n: int, *, first: int = 1, measured: Sequence[str] | None = None, pages: bool = True
) -> list[Path]:
    """Write copies of a run, which differ in seed and lr, into a store and return their folders.

    Args:
        run: finished, with digests.
        outputs: the folder that holds `runs/`.
        n: how many copies.
        first: the first one's seed; each has the next.
        measured: the analyses that they have; None for all that the run has.
        pages: whether they have the page and the figures.
    """
    names = [name for name in run.measured if measured is None or name in measured]
    left_out = {ANALYSES[name].file for name in run.measured if name not in names}
    kept = [name for name in run.files or () if name not in left_out
            and (pages or not name.startswith(("report.html", "figures/")))]  # fmt: skip
    whole = {name: run.read(name, bytes) for name in kept}
    tables = {name: pq.read_table(pa.BufferReader(whole[name])) for name in kept if name.endswith(".parquet")}
    folders = []
    for config, scores in _varied(run, range(first, first + n)):
        name = f"u{config['units']}-s{config['seed']}-{config_hash(config)}"
        folder = outputs / "runs" / config["task"]["name"] / name
        folder.mkdir(parents=True)
        contents = whole | {"config.yaml": to_yaml(config).encode()}
        contents |= {file: _renamed(table, name, config["seed"]) for file, table in tables.items()}
        _write(folder, contents)
        about = {"run": name, "seed": config["seed"], "hash": config_hash(config), "scores": scores, "measured": names,
                 "learned": {target: score >= LEARNED for target, score in scores.items()},
                 "solved": min(scores.values(), default=0) > 0.95}  # fmt: skip
        told = {file: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
                for file, content in contents.items()}  # fmt: skip
        info = {key: value for key, value in run.info.items() if key != "digest"}
        (folder / "run.json").write_text(sealed({**info, **about, "files": told}))
        folders.append(folder)
    return folders


def _varied(run: Run, seeds: Iterable[int]) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Go through configurations and scores, which follow from the seed."""
    for seed in seeds:
        drawn = random.Random(seed)
        yield (
            {**run.config, "seed": seed, "lr": RATES[seed % len(RATES)]},
            {target: drawn.random() for target in run.info["scores"]},
        )


def _renamed(table: pa.Table, name: str, seed: int) -> bytes:
    """Return a table as a file, its rows those of the run of this name and seed."""
    for column, value in (("run", name), ("seed", seed)):
        if len(table) and column in table.column_names:
            at = table.column_names.index(column)
            field = table.schema.field(column)
            table = table.set_column(at, field, pa.repeat(pa.scalar(value, field.type), len(table)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    result: bytes = sink.getvalue().to_pybytes()
    return result


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for file, content in contents.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
