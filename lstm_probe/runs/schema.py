"""The form of a run's files, by number, and how those of an older form are read.

1: before there was a number. 2: `run.json` has `schema` and `measured`; keys and columns have the field's words.
3: `run.json` and `analysis.json` have the size and SHA-256 of every other file, and a digest of themselves.
4: `ablations` has losses after a refit, and what is needed alone or together; a drop as it stands ends at chance.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from lstm_probe.core.errors import LONGEST_NAME, clean

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 4
#: From this number on everything is covered by digests.
WITH_DIGESTS = 3

_KEYS = {"carry": "tbptt"}
_PROBE_KEYS = {"chance": "null", "classes": "estimator"}
_NULLS = {"circular": "roll"}

#: Columns of lists, which are as long as they are, not names that are cut; and what a set of units looks like.
_LISTS = ("set", "chosen", "signals", "not_apart", "collinear_with", "after")
_SET = re.compile(r"(\d{1,9}·)?\d{1,9}←?( (\d{1,9}·)?\d{1,9}←?)*")


def schema_of(info: Mapping[str, Any]) -> int:
    """Return the number of the form that a `run.json` or an `analysis.json` says it has; a ValueError for none."""
    schema = info.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema {schema!r}")
    return schema


def read_config(config: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """Return a run's configuration with today's keys."""
    if schema >= 2:
        return dict(config)
    out = {_KEYS.get(key, key): value for key, value in config.items()}
    if isinstance(out.get("probe"), Mapping):
        probe = {_PROBE_KEYS.get(key, key): value for key, value in out["probe"].items()}
        if "null" in probe:
            probe["null"] = _NULLS.get(probe["null"], probe["null"])
        out["probe"] = probe
    return out


def is_current(name: str, columns: Collection[str], schema: int) -> bool:
    """Return whether a table has today's form, but for names that may not be fit to be shown."""
    old = (schema < 2 and name in _UPGRADES) or (schema < 4 and name == "ablations")
    return not old and not _unknown_codes(name, columns)


def _unknown_codes(name: str, columns: Collection[str]) -> bool:
    """Return whether "distributed" only meant that no single unit was shown to hold the signal."""
    return name == "codes" and "varying" not in columns and "code" in columns


def read_table(name: str, table: "pd.DataFrame", schema: int) -> "pd.DataFrame":
    """Return a table with today's columns, as far as it has them, and with names that are fit to be shown.

    Raises:
        ValueError: what should be sets of units are none.
    """
    from pandas.api.types import is_numeric_dtype

    table = _UPGRADES[name](table) if schema < 2 and name in _UPGRADES else table
    table = _alone(table) if schema < 4 and name == "ablations" else table
    if _unknown_codes(name, table.columns):
        unknown = dict.fromkeys(("second_unit", "second_effect", "rest", "varying"), float("nan"))
        table = table.assign(code=table["code"].replace({"distributed": "not told apart"}), **unknown)
    for column in table.columns[[not is_numeric_dtype(kind) for kind in table.dtypes]]:
        texts = {value for value in table[column] if isinstance(value, str)}  # some hold arrays
        if column == "set" and not all(map(_SET.fullmatch, texts)):
            raise ValueError("a set of units that is none")
        most = None if column in _LISTS else LONGEST_NAME
        if unfit := {text: fit for text in texts if (fit := clean(text, most)) != text}:
            table = table.assign(**{column: table[column].replace(unfit)})
    return table


def _probes(table: "pd.DataFrame") -> "pd.DataFrame":
    """Intervals were on the score's scale; they are on the effect's."""
    r2 = table["metric"] == "r2"
    ends = {key: table[key].where(r2, 2 * table[key] - 1).clip(lower=0) for key in ("ci_low", "ci_high")}
    return table.assign(**ends)


def _ablations(table: "pd.DataFrame") -> "pd.DataFrame":
    """All layers read forward then."""
    out = table.rename(columns={"baseline": "intact", "ablated": "clamped", "effect": "score_drop"})
    out.insert(list(out).index("layer") + 1, "direction", "forward")
    return out


def _alone(table: "pd.DataFrame") -> "pd.DataFrame":
    """Units were clamped alone and as they stand, drops went on below chance, and such a drop made a unit used."""
    lost = table["intact"].clip(lower=0) - table["clamped"].clip(lower=0)
    unknown = dict.fromkeys(("refit_drop", "refit_ci_low", "refit_ci_high", "readout_drop"), float("nan"))
    kept = table.drop(columns="uses", errors="ignore")
    return kept.assign(score_drop=lost, **unknown, off_data=None, needed="not measured")


def _confounds(table: "pd.DataFrame") -> "pd.DataFrame":
    return table.rename(columns={"alike": "collinear_with"})


_UPGRADES: Mapping[str, Callable[["pd.DataFrame"], "pd.DataFrame"]] = {
    "probes": _probes,
    "ablations": _ablations,
    "confounds": _confounds,
}
