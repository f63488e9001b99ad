"""An analysis of a finished run, made again with other settings: it gets a folder of its own inside the run.

The run's own tables stay as they are, since a run is its configuration.
"""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lstm_probe.runs.run import Run
from lstm_probe.runs.store import config_hash

log = logging.getLogger(__name__)


def analyse_again(
    run: Run, kind: str, settings: Mapping[str, Any], seed: int | None, make: Callable[[int], dict[str, pd.DataFrame]]
) -> tuple[Path, dict[str, pd.DataFrame]]:
    """Return the folder and the tables of an analysis, making them if they are not there yet.

    Args:
        run: what is analysed.
        kind: the command's name and the settings' key in the run's configuration.
        settings: of the analysis.
        seed: None for the run's own.
        make: from a seed to the tables, by file name without ending.
    """
    for own in ("probes", "populations", "ablations"):
        getattr(run, own)  # a damaged run is refused before anything is computed
    if seed is None:
        seed = run.config["seed"]
    resolved = {kind: dict(settings), "seed": seed}
    if resolved == {kind: run.config[kind], "seed": run.config["seed"]}:
        log.info("these are the run's own settings, and its own tables")
        return run.path, run.tables(kind)
    folder = run.path / "analyses" / f"{kind}-{config_hash(resolved)}"
    if folder.exists():
        log.info("%s is there already", folder)
        return folder, {file.stem: pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))}
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        tables = make(seed)
        for name, table in tables.items():
            table.to_parquet(partial / f"{name}.parquet", index=False)
        (partial / "config.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    return folder, tables
