"""Analyses of a finished run, made again with other settings: they get a folder of their own inside the run.

`<run>/analyses/<command>-<hash>/`, whole or not there, claimed and renamed like a run itself; `analysis.json` says
with what settings, and the SHA-256 of each file. The run's own tables stay as they are, since a run is its
configuration.
"""

import io
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.core.console import status
from lstm_probe.core.digests import (
    LARGEST_JSON,
    DamagedError,
    are_files,
    digests_of,
    read_regular,
    read_told,
    sealed,
    unsealed,
)
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import write_whole
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.measure import WORDS, Subject, measure
from lstm_probe.runs.overtaken import confirm_there, still_there
from lstm_probe.runs.run import Run
from lstm_probe.runs.schema import SCHEMA, WITH_DIGESTS, read_table, schema_of
from lstm_probe.runs.settings import of_cell, that_decide
from lstm_probe.runs.store import claim, config_hash, publish

log = logging.getLogger(__name__)

ABOUT = "analysis.json"


def analyse_again(
    run: Run, command: str, settings: Mapping[str, Any], seed: int | None = None
) -> tuple[Path, dict[str, pd.DataFrame]]:
    """Return the folder and the tables of some analyses, making them if they are not there yet.

    Args:
        run: what is analysed.
        command: whose analyses, "probe", "ablate" or "dynamics".
        settings: of the command, with the names of the analyses under "analyses".
        seed: None for the run's own.

    Raises:
        InputError: a file of the run, or of the analysis that is there, is missing or damaged.
        TakenOverError: another process made the run again, or removed it, meanwhile; nothing is left of the analysis.
    """
    with still_there(run):
        return _analysed(run, command, settings, seed)


def _analysed(
    run: Run, command: str, settings: Mapping[str, Any], seed: int | None
) -> tuple[Path, dict[str, pd.DataFrame]]:
    run.tables()  # a damaged run is refused before anything is computed
    names = [name for name in ANALYSES if name in settings["analyses"]]
    seed = run.config["seed"] if seed is None else seed
    settings = of_cell(command, settings, run.cell)
    decisive = that_decide(command, settings)
    the_runs_own = seed == run.config["seed"] and decisive == that_decide(command, run.settings(command))
    known = {name: getattr(run, name) for name in names if the_runs_own and name in run.measured}
    if len(known) == len(names):
        log.info("these are the run's own settings, and its own tables")
        return run.path, known
    if any(ANALYSES[name].along_training for name in names):
        _ = run.checkpoints  # an InputError where there are none
    resolved = {command: {**decisive, "analyses": names}, "seed": seed}
    folder = run.path / "analyses" / f"{command}-{config_hash(resolved)}"
    if linked := [path for path in (folder.parent, folder) if path.is_symlink()]:
        raise InputError(f"{linked[0]}: is a link, which is not followed; put a folder into its place")
    if folder.exists():
        log.info("%s is there already", folder)
        return folder, read_tables(folder)
    with claim(folder, lambda: log.info("another process is making %s: waiting for it", folder)) as partial:
        if folder.exists():
            return folder, read_tables(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            subject = Subject(run.model, run.task, command, settings, seed, run.name, lambda: run.checkpoints)
            with status(WORDS[command]):
                every = known | measure(subject, [name for name in names if name not in known])
            tables = {name: every[name] for name in names}
            write_tables(partial, tables, resolved)
            confirm_there(run)
            publish(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder, tables


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], resolved: Mapping[str, Any]) -> None:
    """Write tables and what is to be known of them."""
    for name, table in tables.items():
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        write_whole(folder / ANALYSES[name].file, content.getvalue())
    about = {"schema": SCHEMA, "settings": resolved, "files": digests_of(folder)}
    write_whole(folder / ABOUT, sealed(about))


def read_about(folder: Path) -> dict[str, Any]:
    """Return what the `analysis.json` of an analysis says; of one made before there was such a file, what it would say.

    Raises:
        InputError: it is damaged, of another folder, or of a newer version.
    """
    if not os.path.lexists(folder / ABOUT):
        return {"schema": 1, "files": None}
    try:
        about = unsealed(read_regular(folder / ABOUT, LARGEST_JSON))
        schema = schema_of(about)
        if schema <= SCHEMA:
            if not are_files(about.get("files")) or (schema >= WITH_DIGESTS and "digest" not in about):
                raise ValueError("no digests")
            if folder.name.rpartition("-")[2] != config_hash(about["settings"]):
                raise ValueError("not the settings that the folder is named after")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / ABOUT}: damaged ({error}); {again_by(folder)}") from None
    if schema > SCHEMA:
        raise InputError(f"{folder}: made by a newer version (schema {schema}); update lstm_probe")
    return about


def again_by(folder: Path) -> str:
    """Return what to do about a damaged analysis."""
    return f"delete {folder}, and the same command makes it again"


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of an analysis that is there.

    Raises:
        InputError: what is missing or damaged; delete the folder, and the same command makes it again.
    """
    about = read_about(folder)
    files, schema = about["files"], schema_of(about)
    there = [path.name for path in folder.iterdir()] if files is None else files
    tables = {}
    for name in (name for name in ANALYSES if ANALYSES[name].file in there):
        file = ANALYSES[name].file
        try:
            tables[name] = read_table(name, pd.read_parquet(io.BytesIO(read_told(folder, file, files))), schema)
        except Exception as error:
            reason = str(error).splitlines()[0] if isinstance(error, DamagedError) else type(error).__name__
            raise InputError(f"{folder / file}: damaged ({reason}); {again_by(folder)}") from error
    if not tables:
        raise InputError(f"{folder}: damaged (no tables); {again_by(folder)}")
    return tables


def check_analysis(folder: Path) -> list[str]:
    """Return what is damaged of an analysis that was made of a run later, one line for each file."""
    if folder.is_symlink():
        return [f"{folder}: is a link, which is not followed"]
    try:
        files = read_about(folder)["files"]
    except InputError as error:
        return list(error.problems)
    problems: list[str] = []
    for name in files or ():
        try:
            read_told(folder, name, files)
        except DamagedError as error:
            problems.append(f"{folder / name}: damaged ({error}); {again_by(folder)}")
    if not problems:
        try:
            read_tables(folder)
        except InputError as error:
            problems += error.problems
    return problems
