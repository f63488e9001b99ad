"""Runs whose page has all that the explorer shows, made by hand, and one with names that are no names."""

import numpy as np
import pandas as pd
import torch

from lstm_probe.core.columns import MEMORY_COLUMNS, TUNING_COLUMNS
from tests.figures.made import made_run

#: Markup, quotes, a mark of an address, an emoji, letters from the right to the left, and a name that is too long.
HOSTILE = {
    "count": "<img src=x onerror=\"document.title='owned'\">", "latch": "</script><script>alert('1')</script>",
    "parity": "a&b=c#d +%20\"'`", "leak": "ספירה 🚀", "since": "{{ 7 * 7 }} ${document.title}",
    "ticks": "a_name_" + "that_never_ends_" * 6, "step": "__proto__",
}  # fmt: skip


def full_run(folder, units=8, lags=(0, 1, 5)):
    """A run of which every panel has something to show; unit k tracks target k."""
    run = made_run(folder, units)
    examples = dict(run.examples)
    for k, v in enumerate("hifgo"):
        examples[f"layer0.forward.{v}"] = torch.sigmoid(examples["layer0.forward.c"] + k)
    signals = run.probes.drop_duplicates("signal")[["signal", "kind", "role", "metric"]].to_dict("records")
    shared = {"layer": 0, "direction": "forward", "variable": "c"}
    tuning = [dict.fromkeys(TUNING_COLUMNS, 0.0) | shared | signal | {
        "unit": unit, "lag": 0, "level": level, "n": 10.0, "mean": unit + level, "sd": 0.5,
        "ci_low": unit + level - 0.1, "ci_high": unit + level + 0.1,
    } for signal in signals for unit in range(units) for level in (0.0, 1.0, 2.0)]  # fmt: skip
    memory = [dict.fromkeys(MEMORY_COLUMNS, 0.0) | shared | signal | {
        "unit": unit, "lag": lag, "effect": 0.9 / (1 + lag) if unit == k else 0.05, "untrained": 0.1,
        "signal_itself": 0.8 / (1 + lag), "held": False,
    } for k, signal in enumerate(signals) for unit in range(units) for lag in lags]  # fmt: skip
    run.__dict__.update(
        examples=examples, tuning=pd.DataFrame(tuning)[list(TUNING_COLUMNS)],
        memory=pd.DataFrame(memory)[list(MEMORY_COLUMNS)],
    )  # fmt: skip
    return run


def hostile_run(folder):
    """The same with signals and targets whose names are no names."""
    run = full_run(folder)
    for table in ("probes", "populations", "tuning", "memory"):
        run.__dict__[table] = run.__dict__[table].replace({"signal": HOSTILE})
    run.__dict__["ablations"] = run.ablations.replace({"target": HOSTILE})
    run.__dict__["history"] = run.history.replace({"target": HOSTILE})
    run.__dict__["examples"] = {
        f"{kind}.{HOSTILE[name]}" if kind == "signal" else f"{kind}{dot}{name}": values
        for (kind, dot, name), values in ((key.partition("."), values) for key, values in run.examples.items())
    }
    for key in ("scores", "learned"):
        run.info[key] = {HOSTILE[name]: value for name, value in run.info[key].items()}
    return run


def bare_run(folder):
    """A run of one unit and one signal, without clamps and without examples; its effect is not known."""
    run = made_run(folder, 1)
    run.__dict__["probes"] = run.probes[run.probes["signal"] == "count"]
    run.__dict__["probes"] = run.probes.assign(effect=np.nan, ci_low=np.nan, ci_high=np.nan, tracks=False)
    run.__dict__["populations"] = run.populations[run.populations["signal"] == "count"]
    run.__dict__["ablations"] = run.ablations[:0]
    run.__dict__["examples"] = {"inputs": run.examples["inputs"], "lengths": run.examples["lengths"]}
    return run
