#!/usr/bin/env python
"""Trained networks with a known map: train them, let through what passes the gate, write them into the package.

    python scripts/trained_truth.py               all of them: about ten minutes on one core
    python scripts/trained_truth.py --truth       figures and truth alone, of the networks that are there: a minute

Ten seeds of each kind are tried, so that it is known how many fail; the first that pass are written. What did not pass
is named, and counted in `networks.json`.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lstm_probe.core.files import write_whole
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.truth.interchange import LEAST, gate, passes, train_map
from lstm_probe.truth.trained import (
    FOLDER,
    INDEX,
    RECIPES,
    Recipe,
    as_numbers,
    read_index,
    read_model,
    truth_of,
    write_network,
)

SEEDS, STEPS, LR = 10, 4000, 0.02


def make(recipe: Recipe, seed: int) -> tuple[SequenceModel, dict[str, int]]:
    """Return a trained network, and which unit carries what."""
    task = recipe.make_task()
    if recipe.mapped:
        return train_map(task, recipe.units, flips=recipe.flips, steps=STEPS, lr=LR, seed=seed)
    model = SequenceModel(task.n_inputs, task.n_outputs, recipe.units, seed=seed, forget_bias=1.0)
    Trainer(model, task, steps=STEPS, lr=LR, evaluate_every=STEPS, stop_when_solved=False, seed=seed).fit()
    return model.eval(), {}


def measure(
    model: SequenceModel, recipe: Recipe, units: Mapping[str, int], seed: int
) -> tuple[pd.DataFrame, bool]:  # fmt: skip
    """Return a network's figures, and whether they pass."""
    task = recipe.make_task()
    if recipe.mapped:
        table = gate(model, task, units, seed=seed)
        return table, passes(table)
    batch = as_numbers(task.sample(512, derive_seed(seed, "gate")))
    with torch.no_grad():
        table = pd.Series(batch.scores(model(batch.inputs))).rename_axis("target").reset_index(name="r2")
    return table, bool((table["r2"] >= LEAST["r2"]).all())


def make_all(folder: Path) -> dict[str, Any]:
    """Train and write all networks; return the index."""
    entries, tried = [], {}
    for recipe in RECIPES.values():
        failed: list[int] = []
        passed: list[int] = []
        for seed in range(SEEDS):
            started = time.perf_counter()
            model, units = make(recipe, seed)
            table, well = measure(model, recipe, units, seed)
            print(f"{recipe.name}, seed {seed}: {'passes' if well else 'FAILS'}, {time.perf_counter() - started:.0f} s")
            print(table.round(5).to_string(index=False), flush=True)
            (passed if well else failed).append(seed)
            if well and len(passed) <= recipe.wanted:
                entries.append(write_network(folder, recipe, seed, model, units, table, truth_of(model, recipe, seed)))
        tried[recipe.name] = {"passed": passed, "failed": failed}
        print(f"{recipe.name}: {len(passed)} of {SEEDS} seeds passed", flush=True)
    return {"networks": entries, "tried": tried}


def with_new_truth(folder: Path) -> dict[str, Any]:
    """Write the networks that are there with their figures and truth computed anew; return the index."""
    index = read_index()
    for entry in index["networks"]:
        model, recipe, seed = read_model(FOLDER, entry), RECIPES[entry["recipe"]], entry["seed"]
        table, well = measure(model, recipe, entry["units"], seed)
        made = write_network(folder, recipe, seed, model, entry["units"], table, truth_of(model, recipe, seed))
        print(f"{entry['file']}: {'passes' if well else 'FAILS'}", flush=True)
        entry |= made
    return index


def main() -> None:
    """Make the networks beside the old ones, and put them in their place when all are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", action="store_true", help="train nothing")
    again = parser.parse_args().truth
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "networks")
        folder.mkdir()
        index = with_new_truth(folder) if again else make_all(folder)
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(folder, FOLDER)
        write_whole(FOLDER / INDEX, (json.dumps(index, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
