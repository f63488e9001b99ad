"""What of an analysis's table is drawn, and what of it stands on the page as a small table."""

import math

import pandas as pd

from lstm_probe.causal.following import ANY
from lstm_probe.core.numbers import known, number
from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.findings.words import numbers
from lstm_probe.probing.analyses.cross_time import stability
from lstm_probe.probing.analyses.power import MOST

#: The share of the full effect from which on a few units are called enough.
ENOUGH = 0.9
#: As many units of a set are named.
MOST_NAMED = 12


def best_remembered(table: pd.DataFrame, most: int = 6) -> pd.DataFrame:
    """Return the rows of the signals that single units tell best, without distractors and nuisances if possible."""
    asked = table[table["role"].isin(("target", "latent"))]
    own = table if asked["effect"].isna().all() else asked
    best = own.groupby("signal", sort=False)["effect"].max().dropna().nlargest(most)
    return own[own["signal"].isin(best.index)]


def defined_codes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `codes`, none where no signal has one."""
    return table if (table["code"] != "undefined").any() else table[:0]


def stability_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much of each signal's effect a read-out keeps at other times, from the rows of `cross_time`."""
    kept = ["layer", "direction", "variable", "signal", "along", "diagonal", "elsewhere", "stability"]
    return stability(table)[kept]


def enough_units(table: pd.DataFrame) -> pd.DataFrame:
    """Return how few units reach nine tenths of the best effect along a path, from the rows of `sparse`."""
    keys = ["layer", "direction", "variable", "signal", "lag", "method"]
    rows = []
    for key, path in table.dropna(subset="effect").groupby(keys, sort=False):
        path = path.sort_values("n_units")
        best = path["effect"].max()
        first = path[path["effect"] >= ENOUGH * best].iloc[0]
        rows.append((*key, first["n_units"], first["effect"], best, first["chosen"]))
    return pd.DataFrame(rows, columns=[*keys, "n_units", "effect", "best_effect", "chosen"])


def bits_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `description` that say most."""
    return table[["layer", "direction", "variable", "signal", "lag", "n", "bits", "uniform_bits", "control_bits",
                  "compression"]]  # fmt: skip


def conjunction_rows(table: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """Return the best unit of each pair of signals, from the rows of `conjunctions`; the best pairs first."""
    kept = ["layer", "direction", "variable", "unit", "signal", "other", "effect", "effect_signal", "effect_other",
            "p_family", "found"]  # fmt: skip
    ranked = table.sort_values(["found", "effect"], ascending=False, kind="stable", na_position="last")
    return ranked.drop_duplicates(["layer", "direction", "variable", "signal", "other"])[kept].head(most)


def known_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `shares` of targets that the network has learned."""
    return table.dropna(subset="share")


def known_left(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `erasure` of targets that the network has learned."""
    return table.dropna(subset="left")


def largest_shares(table: pd.DataFrame, most: int = 3) -> pd.DataFrame:
    """Return the units with the largest shares of each target, from the rows of `shares`."""
    kept = ["target", "layer", "direction", "unit", "share", "ci_low", "ci_high", "se"]
    ranked = table.dropna(subset="share").sort_values("share", ascending=False, kind="stable")
    targets = {target: k for k, target in enumerate(table["target"].unique())}
    own = ranked.groupby("target", sort=False).head(most)
    return own.sort_values("target", key=lambda column: column.map(targets), kind="stable")[kept]


def first_patches(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `patches` of all pairs, at the first step that was looked at, of outputs that move."""
    rows: pd.DataFrame = table[(table["signal"] == ANY) & (table["after"] == table["after"].min())]
    return rows.dropna(subset="moved")


def read_from(table: pd.DataFrame) -> pd.DataFrame:
    """Return which units each output reads from, the three first, and the sum over all units, from `patches`.

    At the first step that was looked at.
    """
    layers = several_layers(list(table[UNIT].itertuples(index=False, name=None)))
    rows = []
    first = table[(table["signal"] == ANY) & (table["after"] == table["after"].min())]
    for target, own in first.groupby("target", sort=False):
        known_ones = own.dropna(subset="moved").sort_values("moved", ascending=False, kind="stable")
        best = known_ones[known_ones["reads"] == "yes"].head(3)
        keys = best[UNIT].itertuples(index=False, name=None)
        units = [f"{unit_label(key, layers)} ({number(moved)})" for key, moved in zip(keys, best["moved"])]
        total = number(known_ones["moved"].sum()) if len(known_ones) else ""
        rows.append((target, ", ".join(units) or "no single unit", total))
    return pd.DataFrame(rows, columns=["target", "reads_from", "sum_over_units"])


def power_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `power` that say most, and in words where no number is known."""
    rows = table[["signal", "lag", "sequences", "critical", "floor", "detectable", "effect", "sequences_needed"]]
    needed, most = rows["sequences_needed"], MOST * rows["sequences"]
    told = needed.astype(object).mask(needed > most, "more than " + most.astype(str))
    told = told.mask(rows["effect"] <= rows["floor"], "no number").mask(rows["critical"].isna(), "not testable")
    return rows.assign(sequences_needed=told)


def set_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return how few units carry each target, and what they keep elsewhere, from the rows of `sufficient`."""
    layers = several_layers(list(table[UNIT].itertuples(index=False, name=None)))
    rows = []
    shown = table if table["target"].nunique() != 2 else table[table["target"] != "all"]  # one is all that there is
    for target, own in shown.groupby("target", sort=False):
        about = table.attrs.get("sufficient", {}).get(target, {})
        checked, low, high = (100 * about.get(key, math.nan) for key in ("checked", "checked_low", "checked_high"))
        span = f" [{number(low, 1)}, {number(high, 1)}]" if known(low, high) else ""
        sizes = " to ".join(dict.fromkeys(map(str, about.get("spread") or [])))
        keys = sorted(own.loc[own["kept"].astype(bool), UNIT].itertuples(index=False, name=None))
        which = numbers([unit_label(key, layers) for key in keys], MOST_NAMED) if keys else "none"
        rows.append((target, f"{len(keys)} of {len(own)}", sizes, f"{number(checked, 1)} %{span}", which))
    out = pd.DataFrame(rows, columns=["target", "units_kept", "spread", "kept_on_other_sequences", "which"])
    return out if (out["spread"] != "").any() else out.drop(columns="spread")


def used_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return how few units carry each target after a merge, and what they keep elsewhere, from the rows of `used`."""
    found = table.attrs.get("used", {})
    shown = found if len(found) != 2 else {name: about for name, about in found.items() if name != "all"}
    rows = []
    for target, about in shown.items():
        checked, low, high = (100 * about[key] for key in ("checked", "checked_low", "checked_high"))
        span = f" [{number(low, 1)}, {number(high, 1)}]" if known(low, high) else ""
        named = {part: numbers([str(unit) for unit in own], MOST_NAMED) for part, own in about["which"].items()}
        which = "; ".join(f"{part}: {own}" if len(named) > 1 else own for part, own in named.items())
        rows.append(
            (target, f"{about['used']} of {about['of']}", about["exact"], f"{number(checked, 1)} %{span}", which)
        )
    return pd.DataFrame(rows, columns=["target", "used", "after_exact_cuts", "kept_on_other_sequences", "which"])


def dimension_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `dimension` that say most, under short names."""
    bits = [f"{number(most)} of {signal}" if known(most) else ""
            for most, signal in zip(table["bits"], table["bits_signal"])]  # fmt: skip
    named = {"dimension": "dims", "dimension_held": "held", "unread": "unread", "carried": "copies",
             "near_copies": "near", "saturated": "shut"}  # fmt: skip
    rows = table[["layer", "direction", *named]].rename(columns=named)
    rows = rows.assign(bits=bits, all=table["bits_together"]) if any(bits) else rows
    return rows.dropna(axis=1, how="all")
