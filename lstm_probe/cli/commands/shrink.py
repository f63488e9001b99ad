"""`shrink`: a run with fewer units out of a finished one, and what it keeps on sequences that did not choose it.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.cli.commands import export
from lstm_probe.cli.config import ExportConfig, ShrinkConfig
from lstm_probe.cli.next_step import on_run
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import Run, load_run

if TYPE_CHECKING:
    from lstm_probe.capacity.shrink import Shrunk
    from lstm_probe.core.signal import Batch
    from lstm_probe.runs.making import Measuring
    from lstm_probe.runs.phases import Phases

log = logging.getLogger(__name__)
#: Of a table's sequences that were not trained on, the shares that choose and that check.
TABLE_SHARES = (0.75, 0.25)
NAME = "shrunk"


def run(config: ShrinkConfig) -> Path | None:
    """Make the smaller run, unless it is there already; print what it keeps, and where it is; return its folder."""
    large = load_run(config.run)
    if config.units is not None and config.units >= large.info["units"]:
        raise InputError(f"units={config.units}: must be below {large.info['units']}, which is what {large.name} has")

    import torch

    from lstm_probe.cli.measuring import measuring_as
    from lstm_probe.core.files import check_writable
    from lstm_probe.findings.words import shrunk_words
    from lstm_probe.report import print_findings
    from lstm_probe.runs.making import find_or_make
    from lstm_probe.runs.phases import Phases
    from lstm_probe.runs.reached import Warned

    torch.set_num_threads(config.threads)
    asked = {"run": large.name, "weights": large.read("model.safetensors", _digest), "keep": config.keep,
             "units": config.units, "tune": config.tune, "sequences": config.sequences}  # fmt: skip
    measuring = measuring_as(large, config)
    there = _find(config.outputs, large, asked)
    if there is not None and not config.force:
        made = find_or_make(there.config, _nothing, measuring, outputs=config.outputs)
    else:
        check_writable(Path(config.outputs), "outputs")
        phases, warned, logger = Phases(), Warned(), logging.getLogger("lstm_probe")
        logger.addHandler(warned)
        try:
            with phases("shrink", "making it smaller"):
                batch, check = _batches(large, config.sequences)
                shrunk = _shrunk(large, batch, check, config)
        finally:
            logger.removeHandler(warned)
        if shrunk.units == large.info["units"]:
            out.print(f"{large.name}: all its {shrunk.units} units are kept; nothing was made.", markup=False)
            return None
        resolved = _resolved(large, shrunk.units, asked)

        def make(folder: Path, name: str) -> None:
            _make(large, shrunk, check, warned.lines, phases, resolved, measuring, folder, name)

        made = find_or_make(resolved, make, measuring, outputs=config.outputs, force=config.force)
    for line in shrunk_words(made.info):
        out.print(line, markup=False)
    out.print(f"run: {made.path}", markup=False, soft_wrap=True)
    if config.format is None and (export_it := on_run("export", made, format="onnx")) is not None:
        out.print("A file for other programs (format=pytorch and keras likewise):")
        out.print(f"  {export_it}", markup=False, soft_wrap=True)
    elif config.format is not None:
        export.run(ExportConfig(run=str(made.path), format=config.format, threads=config.threads,
                                outputs=config.outputs))  # fmt: skip
    if made.measured:
        print_findings(made)
    return made.path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _nothing(folder: Path, name: str) -> None:
    """Make no run: it is there."""


def _name(large: Run) -> str:
    own = large.config.get("name")
    return f"{NAME}-{own}" if own else NAME


def _find(outputs: str, large: Run, asked: Mapping[str, Any]) -> Run | None:
    """Return the run that was made of this one in the same way, if it is there."""
    folder = Path(outputs) / "runs" / large.info["task"]
    for path in sorted(folder.glob(f"{_name(large)}-u*-s{large.config['seed']}-*")):
        try:
            found = load_run(path)
            if found.config.get(NAME) == asked:
                return found
        except InputError as error:
            log.warning("%s", error)
    return None


def _resolved(large: Run, units: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of the smaller run: the same but for its size, and what it was made of."""
    config = {**large.config, "name": _name(large), "units": units, NAME: dict(asked)}
    if "imported" in config:
        config["imported"] = {**config["imported"], "units": units}
    return config


def _batches(large: Run, sequences: int) -> tuple["Batch", "Batch"]:
    """Return the sequences that choose, and those that check: those that the run's scores are of."""
    from dataclasses import replace

    from lstm_probe.capacity.goal import split
    from lstm_probe.core.seeding import derive_seed

    task, seed = large.task, large.config["seed"]
    if task.most is None:
        batches = [task.sample(sequences, derive_seed(seed, NAME)),
                   task.sample(large.config["test_sequences"], derive_seed(seed, "test"))]  # fmt: skip
    else:
        batches = split(task.sample_up_to(sequences, derive_seed(seed, NAME)), TABLE_SHARES, None, seed)
    if not large.info["scores"]:
        batches = [replace(own, targets={}, target_specs=(), scored={}) for own in batches]
    return batches[0], batches[1]


def _shrunk(large: Run, batch: "Batch", check: "Batch", config: ShrinkConfig) -> "Shrunk":
    from lstm_probe.capacity.shrink import shrink

    train: Any = large.task
    try:
        if config.tune:
            train.sample_training(1)
    except InputError:  # all sequences are held out: those train that choose
        train = batch
    if not batch.target_specs:
        train = batch
    return shrink(large.model, batch, keep=config.keep, units=config.units, tune=config.tune, train=train, check=check,
                  seed=large.config["seed"])  # fmt: skip


def _make(
    large: Run, shrunk: "Shrunk", check: "Batch", warnings: list[str], phases: "Phases", resolved: Mapping[str, Any],
    measuring: "Measuring", folder: Path, name: str,
) -> None:  # fmt: skip
    """Make all files of the run in a folder."""
    import pandas as pd

    from lstm_probe.core.run_columns import HISTORY_COLUMNS
    from lstm_probe.network.training import evaluate
    from lstm_probe.runs.making import finish, write_network

    task, scored = large.task, bool(check.target_specs)
    before, scores = ({}, {}) if not scored else (evaluate(large.model, check), evaluate(shrunk.model, check))
    rows = [[shrunk.updates, "test", t.name, t.metric, scores[t.name], 0.0, 0.0] for t in task.targets if scored]
    pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).to_parquet(folder / "history.parquet", index=False)
    shrunk.table.to_parquet(folder / "shrink.parquet", index=False)
    write_network(folder, shrunk.model, task, resolved["seed"])
    own = shrunk.table[(shrunk.table["sequences"] == "check") & (shrunk.table["stage"] != "as it is")]
    least = own.groupby(["stage", "units"], sort=False)["share"].min().reset_index()
    stages = least.to_dict("records")
    kept = {f"{layer}.{direction}": list(own) for (layer, direction), own in shrunk.kept.items()}
    about = {
        "run": name, "device": "cpu", "steps_done": shrunk.updates, "scores": scores, "warnings": warnings,
        "source": f"{large.name}, shrunk", **{key: large.info[key] for key in ("imported", "not_scored", "not_ablated")
                                              if key in large.info},
        NAME: {"run": large.name, "units_before": large.info["units"], "scores_before": before, "kept": kept,
               "exact": dict(shrunk.exact), "updates": shrunk.updates, "parts": len(kept), "stages": stages},
    }  # fmt: skip
    finish(folder, shrunk.model, task, phases, about, resolved, measuring)
