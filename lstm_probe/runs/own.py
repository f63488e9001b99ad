"""Tables that somebody made of a network of their own, checked and put together as those of a run are."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lstm_probe.causal.needs import LEARNED
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_with
from lstm_probe.core.columns import PROBE_COLUMNS
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.order import UNIT
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.facts import find
from lstm_probe.runs.analyses import ANALYSES, LIST

#: Those that the findings are made of, beside the probes.
TAKEN = ("populations", "ablations", "codes", "memory", "confounds", "sets", "sufficient", "used")


def checked(probes: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the tables of one network, by name; `ablations` as an empty one where it is not given.

    Args:
        probes: columns `PROBE_COLUMNS`.
        given: other tables by the names of their analyses; None for one that there is not.

    Raises:
        InputError: every table of an unknown name, without its columns, of several networks, or of another network.
    """
    tables = {name: table for name, table in {"probes": probes, **given}.items() if table is not None}
    problems = [line for name, table in tables.items() for line in _problems(name, table)]
    if not problems and not len(probes):
        problems = ["probes: it has no rows"]
    if not problems:
        problems = [line for name, table in tables.items() for line in _others(name, table, probes)]
    if problems:
        raise InputError(*problems)
    empty = pd.DataFrame(columns=list(ANALYSES["ablations"].columns))
    return {"ablations": empty, **tables}  # so that each card says that need was not measured


def _problems(name: str, table: Any) -> list[str]:
    """Return what is wrong with a table by itself."""
    if name not in ANALYSES:
        return [f"{name}: no such table.{nearest(name, list(ANALYSES))} There are {', '.join(ANALYSES)}."]
    if not isinstance(table, pd.DataFrame):
        return [f"{name}: a {type(table).__name__}; must be a table with the columns of lstm_probe.columns({name!r})"]
    columns = PROBE_COLUMNS if name == "probes" else ANALYSES[name].columns
    if missing := [column for column in columns if column not in table]:
        return [f"{name}: has no {', '.join(missing)}; must have the columns of lstm_probe.columns({name!r})"]
    own = table[["run", "task", "units"]].drop_duplicates()
    if len(own) > 1:
        return [f"{name}: of {len(own)} networks (by its columns run, task, units); give the rows of one"]
    return []


def _others(name: str, table: pd.DataFrame, probes: pd.DataFrame) -> list[str]:
    """Return what shows that a table is of another network than the probes."""
    if not len(table):
        return []
    for column in ("units", "run", "task"):
        own, wanted = table[column].iloc[0], probes[column].iloc[0]
        if own != wanted and "" not in (own, wanted):
            return [f"{name}: of another network ({column}={own}); that of probes has {column}={wanted}"]
    if {*UNIT} <= {*table.columns}:
        units = {key for key, _ in probes.groupby(UNIT)}
        unknown: list[Any] = [key for key, _ in table.groupby(UNIT) if key not in units]
        if unknown:
            layer, direction, unit = unknown[0]
            return [f"{name}: unit {unit} of layer {layer} {direction} is not in probes"]
    return []


def find_own(tables: Mapping[str, pd.DataFrame], cell: Cell | None = None) -> Findings:
    """Return what tables say of a network; what is not given was not measured.

    Args:
        tables: of one network, by name.
        cell: what its units are; None: what has such variables.
    """
    probes = tables["probes"]
    cell = cell_with(probes["variable"].unique()) if cell is None else cell
    empty = {"populations": pd.DataFrame(columns=list(ANALYSES["populations"].columns))}
    own: dict[str, Any] = {name: tables.get(name, empty.get(name)) for name in TAKEN}
    scores = {str(target): float(rows["intact"].iloc[0]) for target, rows in own["ablations"].groupby("target")}
    info = {
        "scores": scores, "learned": {target: score >= LEARNED for target, score in scores.items()}, "solved": None,
        "projection": _projected(probes), "not_ablated": "no table `ablations` was given",
        "not_scored": "no table `ablations` was given, which has the scores",
    }  # fmt: skip
    return find(info, probes, cell=cell, **own)


def _projected(probes: pd.DataFrame) -> bool:
    """Return whether h is shorter than there are units, so that its elements are no units."""
    h = probes[probes["variable"] == "h"]
    return bool(len(h)) and int(h["unit"].max()) + 1 < int(h["units"].iloc[0])


def not_measured(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return a sentence on what cards usually say and these tables do not; empty where they say it all."""
    missed = [analysis.says for analysis in LIST if analysis.default and (analysis.card or analysis.card_end)
              and analysis.name not in tables]  # fmt: skip
    missed += ["what it tells along a curve"] * ("tracks_curved" not in tables["probes"])
    return f"Not measured: {'; '.join(missed)}." if missed else ""
