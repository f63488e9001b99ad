"""What the answer on num_units is made of, made by hand: networks, a character model, a search, and the law."""

from dataclasses import asdict
from pathlib import Path

import torch

from lstm_probe.network.model import SequenceModel
from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.reproduce.results import RESULTS
from lstm_probe.reproduce.store import Reproduction
from lstm_probe.runs.run import Run
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.settings import AblateSettings, ProbeSettings
from lstm_probe.sizing.answer import Trial, put_together
from lstm_probe.tasks import get_task
from tests.figures.made import (
    ablation_row,
    ablations,
    history,
    made_run,
    population_row,
    populations,
    probe_row,
    probes,
)

#: Of the character model: signal, unit, effect, and whether that unit tracks it.
TRACKED = (("in_long_string", 1, 0.83, True), ("in_comment", 2, 0.31, False), ("indentation", 3, 0.77, True))


def source_run(outputs: Path, tracked=TRACKED) -> Run:
    """A character model of 4 units on a file of its own, that was not trained."""
    file = outputs / "own.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f'def f{k}(x):\n    """Say {k}."""\n    return x + {k}  # more\n\n' for k in range(80)))
    task = get_task("python_source", path=str(file), length=20)
    path = outputs / "runs" / "python_source" / "u4-s0-00000000"
    path.mkdir(parents=True, exist_ok=True)
    info = {
        "schema": SCHEMA, "measured": ["probes", "populations", "ablations"], "status": "finished", "run": path.name,
        "task": "python_source", "units": 4, "layers": 1, "projection": 0, "seed": 0, "hash": "00000000",
        "scores": {"next": 0.58}, "learned": {"next": True}, "solved": False, "seconds": {"train": 7.5},
        "versions": {"python": "3.11"}, "finished": "2020-01-01T00:00:00",
    }  # fmt: skip
    run = Run(path, info)
    rows = []
    for signal, unit, effect, tracks in tracked:
        kind = task.sample(1).signals[signal].kind
        rows += [probe_row(k, signal, effect if k == unit else 0.02, tracks and k == unit, kind=kind, role="latent",
                           units=4) for k in range(4)]  # fmt: skip
    run.__dict__.update(
        task=task, model=SequenceModel(task.n_inputs, task.n_outputs, 4, seed=0).eval(), probes=probes(*rows),
        populations=populations(*(population_row(one[0], 0.9) for one in tracked)), history=history({"next": [0.5]}),
        ablations=ablations(*(ablation_row(k, "next", 0.1) for k in range(4))), examples={"inputs": torch.zeros(1, 2)},
        config={"task": {"name": "python_source"}, "units": 4, "probe": asdict(ProbeSettings()),
                "ablate": asdict(AblateSettings())},
    )  # fmt: skip
    return run


def law(values: dict[int, float], seeds: int = 1) -> Reproduction:
    """What `recall` measured: by units, the share that was said again; each seed says a thousandth less."""
    own = {seed: {f"mse_{units}": 1 - share + seed / 1000 for units, share in values.items()} for seed in range(seeds)}
    return Reproduction(RESULTS["recall"], own, dict.fromkeys(own, 30.0))


LAWFUL = {2: 0.245, 4: 0.49, 6: 0.74, 7: 0.86, 8: 0.998}


def searched(outcomes: dict[tuple[int, int], bool], largest: int = 16):
    """What a search says after trainings of these units and seeds that did the task or did not."""
    task = get_task("tracking")
    trials = [Trial(f"u{u}-s{s}", u, s, {t.name: 1.0 if done else 0.3 for t in task.targets}, done, 2.0, False)
              for (u, s), done in outcomes.items()]  # fmt: skip
    solved = {trial.run: trial.solved for trial in trials}
    thresholds = {target.name: target.solved for target in task.targets}
    return put_together(task, trials, solved, thresholds, "as the task says", True, (1, largest), Path("nowhere"))


def material(outputs: Path, scores=None, sizes=(2, 8), seeds: int = 2, tracked=TRACKED) -> Material:
    """Networks of these sizes; by size, scores that are not 0.995."""
    scores = {2: {"parity": 0.02, "leak": 0.7, "since": 0.3}} if scores is None else scores
    runs = [made_run(outputs, units, seed, scores.get(units)) for units in sizes for seed in range(seeds)]
    outcomes = {(run.info["units"], run.info["seed"]): run.info["solved"] for run in runs}
    return Material(runs, source_run(outputs, tracked), law(LAWFUL, 2), searched(outcomes), outputs)
