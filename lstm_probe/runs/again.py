"""Analyses of a finished run, made again with other settings: they get a folder of their own inside the run.

`<run>/analyses/<command>-<hash>/`, whole or not there, claimed and renamed like a run itself; `analysis.json` says
with what settings, and the SHA-256 of each file. The run's own tables stay as they are, since a run is its
configuration.
"""

import io
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.core.console import console
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import sha256, write_whole
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.measure import WORDS, Subject, measure
from lstm_probe.runs.run import Run
from lstm_probe.runs.schema import SCHEMA, read_table, schema_of
from lstm_probe.runs.settings import that_decide
from lstm_probe.runs.store import claim, config_hash, publish

log = logging.getLogger(__name__)

ABOUT = "analysis.json"


def analyse_again(
    run: Run, command: str, settings: Mapping[str, Any], seed: int | None = None
) -> tuple[Path, dict[str, pd.DataFrame]]:
    """Return the folder and the tables of some analyses, making them if they are not there yet.

    Args:
        run: what is analysed.
        command: whose analyses, "probe" or "ablate".
        settings: of the command, with the names of the analyses under "analyses".
        seed: None for the run's own.

    Raises:
        InputError: a file of the run, or of the analysis that is there, is missing or damaged.
    """
    run.tables()  # a damaged run is refused before anything is computed
    names = [name for name in ANALYSES if name in settings["analyses"]]
    seed = run.config["seed"] if seed is None else seed
    decisive = that_decide(command, settings)
    the_runs_own = seed == run.config["seed"] and decisive == that_decide(command, run.settings(command))
    if the_runs_own and set(names) <= set(run.measured):
        log.info("these are the run's own settings, and its own tables")
        return run.path, {name: getattr(run, name) for name in names}
    resolved = {command: {**decisive, "analyses": names}, "seed": seed}
    folder = run.path / "analyses" / f"{command}-{config_hash(resolved)}"
    if folder.exists():
        log.info("%s is there already", folder)
        return folder, read_tables(folder)
    with claim(folder, lambda: log.info("another process is making %s: waiting for it", folder)) as partial:
        if folder.exists():
            return folder, read_tables(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            subject = Subject(run.model, run.task, command, settings, seed, run.name)
            with console.status(WORDS[command]):
                tables = measure(subject, names)
            write_tables(partial, tables, resolved)
            publish(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder, tables


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], resolved: Mapping[str, Any]) -> None:
    """Write tables and what is to be known of them."""
    files = {}
    for name, table in tables.items():
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        digest, size = write_whole(folder / ANALYSES[name].file, content.getvalue())
        files[ANALYSES[name].file] = {"sha256": digest, "bytes": size}
    about = {"schema": SCHEMA, "settings": resolved, "files": files}
    write_whole(folder / ABOUT, json.dumps(about, indent=2) + "\n")


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of an analysis that is there.

    Raises:
        InputError: what is missing or damaged; delete the folder, and the same command makes it again.
    """
    again = f"delete {folder}, and the same command makes it again"
    if not (folder / ABOUT).is_file():  # made by an earlier version
        names, schema, files = [name for name in ANALYSES if (folder / ANALYSES[name].file).is_file()], 1, {}
    else:
        try:
            about = json.loads((folder / ABOUT).read_text())
            schema, files = schema_of(about), dict(about["files"])
            names = [name for name in ANALYSES if ANALYSES[name].file in files]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder / ABOUT}: damaged ({type(error).__name__}); {again}") from error
        if schema > SCHEMA:
            raise InputError(f"{folder}: made by a newer version (schema {schema}); update lstm_probe")
    tables = {}
    for name in names:
        file = folder / ANALYSES[name].file
        if not file.is_file():
            raise InputError(f"{file}: missing; {again}")
        told = files.get(file.name)
        if told is not None and sha256(file) != told["sha256"]:
            raise InputError(f"{file}: damaged (its checksum is wrong); {again}")
        try:
            tables[name] = read_table(name, pd.read_parquet(file), schema)
        except Exception as error:
            raise InputError(f"{file}: damaged ({type(error).__name__}); {again}") from error
    if not tables:
        raise InputError(f"{folder}: damaged (no tables); {again}")
    return tables
