"""How often something is found in each setting, before and now, and with the remedy where sequences hang together."""

from collections.abc import Iterable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NULLS
from lstm_probe.probing import probe_units

from .settings import SETTINGS, Dataset

ALPHA = 0.05
#: As few as keep a table of 40 datasets fast.
QUICK = {"variables": ["h", "c"], "permutations": 199, "bootstrap": 1}

#: Rates of an earlier version (commit 00cc42c), by setting: columns setting, datasets, tracks, p_family, in_c.
BEFORE = Path(__file__).parent / "before.csv"
MEASURES = {"tracks": "tracks", "in_c": "tracks in c", "p_family": "p_family"}
#: What is planted lies in c; where signals follow from the inputs, p-values are to be small.
OF_PLANTED, OF_RELATED = ("tracks", "p_family"), ("tracks", "in_c")


def found(data: Dataset, options: dict[str, Any]) -> dict[str, float]:
    """Return whether something is found in a dataset: by any unit, or by the one that holds what is planted."""
    table = probe_units(data.rec, data.signals, **{**QUICK, **data.options, **options})
    if data.truth is not None:
        signal, unit = data.truth
        table = table[(table.signal == signal) & (table.unit == unit) & (table.variable == "c")]
    return {
        "tracks": float(table.tracks.any()),
        "in_c": float(table.tracks[table.variable == "c"].any()),
        "p_family": float((table.p_family <= ALPHA).any()),
    }


def supported(options: dict[str, Any]) -> bool:
    """Whether `probe_units` takes these options."""
    return set(options) <= set(signature(probe_units).parameters) and options.get("null", NULLS[0]) in NULLS


def chosen(words: Iterable[str] | None) -> list[str]:
    """Return the settings whose names contain one of these words; all where there are no words."""
    return [name for name in SETTINGS if words is None or any(word in name for word in words)]


def setting_rates(name: str, datasets: int, seed: int) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Yield what was done to a setting's datasets, and which of them had something found, by measure.

    First what was found before, then now, then with the remedy, if there is one that this version has.
    """
    drawn = [derive_seed(seed, "setting", name, k) for k in range(datasets)]
    first = SETTINGS[name](np.random.default_rng(drawn[0]))
    sequences, steps = next(iter(first.rec)).inputs.shape[:2]
    holds = first.truth is not None
    keys = OF_PLANTED if holds else OF_RELATED if first.related else tuple(MEASURES)
    about = {
        "about": "planted" if holds else "settings", "series": name, "null": first.options.get("null", "shuffle"),
        "sequences": sequences, "steps": steps, "nominal": 1.0 if holds else ALPHA,
    }  # fmt: skip
    old = pd.read_csv(BEFORE).set_index("setting")
    if name in old.index:
        row = old.loc[name]
        count = int(row.datasets)
        yield about, {f"{MEASURES[key]}, before": np.arange(count) < round(row[key] * count) for key in keys}
    for remedied in (False, True):
        if remedied and not (first.remedy and supported(dict(first.remedy))):
            continue
        rows = []
        for own in drawn:
            data = SETTINGS[name](np.random.default_rng(own))
            rows.append(found(data, {"seed": own, **(data.remedy if remedied else {})}))
        done = {"null": first.remedy.get("null", "groups")} if remedied else {}
        yield about | done, {MEASURES[key]: np.array([row[key] for row in rows]) for key in keys}
