"""Tables and runs made by hand, with the declared columns, so that what is in them is known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from lstm_probe.core.columns import (
    ABLATION_COLUMNS,
    POPULATION_COLUMNS,
    PROBE_COLUMNS,
    SET_COLUMNS,
    SUFFICIENT_COLUMNS,
)
from lstm_probe.core.run_columns import HISTORY_COLUMNS
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.runs.run import Run
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.settings import AblateSettings, ProbeSettings
from lstm_probe.tasks import get_task

ROLES = ("target", "target", "latent", "distractor", "nuisance")


def probe_row(unit: int, signal: str, effect: float, tracks: bool = False, **other: Any) -> dict[str, Any]:
    """One row of `probes`: a continuous target, probed in c at lag 0, unless told otherwise."""
    row = dict.fromkeys(PROBE_COLUMNS, 0.0) | {
        "run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "variable": "c",
        "unit": unit, "signal": signal, "kind": "continuous", "role": "target", "lag": 0, "metric": "r2",
        "score": effect, "effect": effect, "ci_low": effect - 0.02, "ci_high": effect + 0.02,
        "untrained": 0.1, "untrained_best": 0.15, "testable": True, "depth": np.nan, "tracks": tracks,
    }  # fmt: skip
    return row | other


def ablation_row(
    unit: int, target: str, effect: float, alone: bool = False, needed: str = "no", **other: Any
) -> dict[str, Any]:
    """One row of `ablations`: the memory clamped to its mean, baseline 1; needed alone, or as said."""
    row = {
        "run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "unit": unit,
        "variable": "c",
        "mode": "mean", "target": target, "metric": "r2", "intact": 1.0, "clamped": 1 - effect,
        "score_drop": effect, "ci_low": effect - 0.01, "ci_high": effect + 0.01,
        "refit_drop": effect, "refit_ci_low": effect - 0.01, "refit_ci_high": effect + 0.01, "readout_drop": effect / 2,
        "off_data": False, "needed": "alone" if alone else needed,
    }  # fmt: skip
    return row | other


def set_row(units: str, target: str, effect: float, why: str = "needed together", **other: Any) -> dict[str, Any]:
    """One row of `sets`: the memories of "3, 7" clamped to their means at once, baseline 1."""
    row = ablation_row(0, target, effect) | {"set": units, "why": why, "n_units": len(units.split(","))}
    return {name: row[name] for name in SET_COLUMNS} | other


def sufficient_row(unit: int, kept: bool, target: str = "all", **other: Any) -> dict[str, Any]:
    """One row of `sufficient`."""
    row = {"run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "unit": unit,
           "target": target, "order": unit, "kept": kept, "score": 1.0}  # fmt: skip
    return row | other


def population_row(signal: str, score: float, **other: Any) -> dict[str, Any]:
    """One row of `populations`."""
    row = dict.fromkeys(POPULATION_COLUMNS, 0.0) | {
        "run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "variable": "c",
        "signal": signal, "kind": "continuous", "role": "target", "lag": 0, "metric": "r2", "score": score,
        "n_units_90": 2,
    }  # fmt: skip
    return row | other


def probes(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(PROBE_COLUMNS))


def ablations(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(ABLATION_COLUMNS))


def sets(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(SET_COLUMNS))


def sufficient(*rows: Mapping[str, Any], **checked: Any) -> pd.DataFrame:
    """The table, and what was checked of the set that carries the task."""
    table = pd.DataFrame(rows, columns=list(SUFFICIENT_COLUMNS))
    kept = int(table.loc[table["target"] == "all", "kept"].sum())
    about = {"kept": kept, "checked": 0.997, "checked_low": 0.995, "checked_high": 0.999, "spread": None}
    table.attrs["sufficient"] = {"all": about | checked}
    return table


def populations(*rows: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(POPULATION_COLUMNS)).astype({"n_units_90": "Int64"})


def random_tables(
    units: int, signals: Sequence[str], layers: int = 1, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Probes and ablations of any size: most units specialise in one signal; targets are the first half."""
    rng = np.random.default_rng(seed)
    probed, clamped = [], []
    for layer in range(layers):
        for unit in range(units):
            favourite = rng.integers(len(signals))
            for k, signal in enumerate(signals):
                effect = rng.uniform(0.2, 1) if k == favourite else rng.beta(1, 8)
                role = ROLES[k % len(ROLES)]
                probed.append(probe_row(unit, signal, effect, effect > 0.5, layer=layer, role=role, units=units))
            for signal in signals[: max(1, len(signals) // 2)]:
                effect = 1.5 * rng.beta(0.3, 3)
                clamped.append(ablation_row(unit, signal, effect, effect > 0.2, layer=layer, units=units))
    return probes(*probed), ablations(*clamped)


def history(scores: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """A history with these scores on validation sequences every 100 steps, and a training loss."""
    n = len(next(iter(scores.values())))
    rows: list[tuple[Any, ...]] = []
    for k in range(n):
        rows.append((100 * (k + 1), "train", "all", "loss", 1 / (k + 1), 0.01, float(k)))
        rows += [(100 * (k + 1), "validation", t, "r2", v[k], 0.01, float(k)) for t, v in scores.items()]
    rows += [(100 * n, "test", t, "r2", v[-1], 0.01, float(n)) for t, v in scores.items()]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def made_run(
    folder: Path, units: int = 4, seed: int = 0, scores: Mapping[str, float] | None = None, **config: Any
) -> Run:
    """A run on `tracking` of which unit k tracks target k and is needed alone for it; the others are not needed."""
    task = get_task("tracking")
    targets = [target.name for target in task.targets]
    scores = dict.fromkeys(targets, 0.995) | dict(scores or {})
    batch = task.sample(4, seed)
    probed, clamped, together = [], [], []
    for k, (name, signal) in enumerate(batch.signals.items()):
        about = {"kind": signal.kind, "role": signal.role, "units": units, "seed": seed, "task": "tracking"}
        for variable in VARIABLES:
            for unit in range(units):
                hit = unit == k and signal.role == "target"
                effect = (0.95 if variable in "ch" else 0.4) if hit else 0.05
                probed.append(probe_row(unit, name, effect, hit, variable=variable, **about))
        together.append(population_row(name, 0.98, kind=signal.kind, role=signal.role))
    for unit in range(units):
        for k, target in enumerate(targets):
            clamped.append(ablation_row(unit, target, 0.8 if unit == k else 0.0, unit == k, units=units))
    examples = {"inputs": batch.inputs, "lengths": batch.lengths}
    examples |= {f"signal.{name}": signal.values for name, signal in batch.signals.items()}
    memory = torch.stack([list(batch.signals.values())[k % 7].values for k in range(units)], dim=-1)
    examples["layer0.forward.c"] = 0.1 * memory - 0.3
    name = f"u{units}-s{seed}-{abs(hash(str(sorted(config.items())))) % 16**8:08x}"
    info = {
        "schema": SCHEMA, "measured": ["probes", "populations", "ablations"], "status": "finished", "run": name,
        "task": "tracking", "units": units, "layers": 1, "projection": 0,
        "seed": seed, "hash": name[-8:], "versions": {"python": "3.11"}, "git": None, "device": "cpu",
        "threads": 1, "seconds": {"train": 1.0}, "scores": scores,
        "learned": {t: s >= 0.5 for t, s in scores.items()},
        "solved": all(s >= 0.99 for s in scores.values()), "steps_done": 300,
        "finished": "2020-01-01T00:00:00",
    }  # fmt: skip
    run = Run(folder / "runs" / "tracking" / name, info)
    run.path.mkdir(parents=True, exist_ok=True)
    files = [f"{name}.parquet" for name in (*info["measured"], "history")]
    for file in (*files, "examples.safetensors"):
        (run.path / file).touch()
    shape = {"units": units, "layers": 1, "projection": 0}
    resolved = {"task": {"name": "tracking"}, **shape, "seed": seed, "lr": 0.01, **config}
    run.__dict__.update(
        probes=probes(*probed),
        ablations=ablations(*clamped),
        populations=populations(*together),
        history=history({t: [0.1, s / 2, s] for t, s in scores.items()}),
        examples=examples,
        config=resolved | {"probe": asdict(ProbeSettings()), "ablate": asdict(AblateSettings())},
    )
    return run


def drawn_texts(figure: Figure) -> list[Text]:
    """Every text that appears when the figure is drawn: of an axis' ticks only those within its limits."""
    drawn: list[Text] = []
    draw = Text.draw

    def recording(text: Text, *args: Any, **kwargs: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, *args, **kwargs)

    with patch.object(Text, "draw", recording):
        figure.draw_without_rendering()
    return drawn


def check_layout(figure: Figure) -> list[Text]:
    """No text is cut off by the figure's edge, and no two upright ones overlap by more than a pixel; returns all."""
    boxes = [(text, text.get_window_extent()) for text in drawn_texts(figure)]
    for text, box in boxes:
        assert box.x0 > -0.5 and box.y0 > -0.5, text
        assert box.x1 < figure.bbox.width + 0.5 and box.y1 < figure.bbox.height + 0.5, text
    upright = [(text, box) for text, box in boxes if text.get_rotation() % 90 == 0]
    for (text, a), (other, b) in combinations(upright, 2):
        wide, tall = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide < 1 or tall < 1, (text, other)
    return [text for text, _ in boxes]


def check_figure(figure: Figure, width: float | None = None) -> None:
    """What a paper asks: the width exact, letters of 6 points or more, none cut off, none upon another.

    Labels of ticks, which may be slanted, are compared as they stand; other texts by their boxes.
    """
    if width is not None:
        assert figure.get_figwidth() == width
    texts = check_layout(figure)
    for text in texts:
        assert text.get_fontsize() >= 6 - 1e-6, (text, text.get_fontsize())
    shown = set(map(id, texts))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label for label in axis.get_ticklabels() if id(label) in shown]
            boxes = [slanted_box(label) for label in labels]
            for (one, a), (other, b) in combinations(zip(labels, boxes, strict=True), 2):
                assert one.get_rotation() == other.get_rotation()
                assert min(a[1], b[1]) - max(a[0], b[0]) <= 1 or min(a[3], b[3]) - max(a[2], b[2]) <= 1, (one, other)


def slanted_box(text: Text) -> tuple[float, float, float, float]:
    """Where a text stands, left, right, bottom and top, in axes that are turned as it is."""
    slant = text.get_rotation()
    x, y = Affine2D().rotate_deg(-slant).transform(text.get_window_extent().get_points().mean(0))
    text.set_rotation(0)
    upright = text.get_window_extent()
    text.set_rotation(slant)
    return x - upright.width / 2, x + upright.width / 2, y - upright.height / 2, y + upright.height / 2
