"""What the code of a signal means, in one sentence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: Of so few units, in how many cases a random basis looks as if one of them held the signal: measured with random
#: walks (111 and 49 of 300; of four units 15, of more none to 6).
LOOKS_SO = {2: "1 of 3", 3: "1 of 6"}


def code_sentence(row: "Mapping[str, Any] | pd.Series[Any]", units: int, *, share: float = 0.9) -> str:
    """Return what is known of how units code a signal, in one sentence that is true whatever the code is.

    Args:
        row: of the table of `signal_codes`.
        units: how many units there are; those that vary count, where the row has fewer.
        share: of the R² of all units, from which on the others "tell it too": `code_share` of `signal_codes`.

    >>> row = {"variable": "c", "layer": 0, "direction": "forward", "signal": "count", "lag": 0, "varying": 8,
    ...        "effect": 0.99, "best_unit": 3, "best_effect": 0.98, "second_unit": 5, "second_effect": 0.2,
    ...        "rest": 0.31, "code": "localist"}
    >>> code_sentence(row, 8)  # doctest: +ELLIPSIS
    'count is held by one unit of c, layer 0 (localist): R² 0.98 of unit 3 alone, 0.20 of unit 5 alone, ...'
    """
    told = str(row["signal"]) + (f" of {row['lag']} steps back" if row["lag"] else "")
    where = f"{row['variable']}, layer {row['layer']}{' reverse' if row['direction'] == 'reverse' else ''}"
    few = min(units, int(row["varying"]))
    if row["code"] == "undefined":
        why = "the signal has no score" if few > 1 else f"{'one unit varies' if few else 'no unit varies'}"
        return f"{told} has no code in {where}: {why}, so that there is nothing to compare."
    if row["code"] == "none":
        return (
            f"{told} has no code in {where}: all {few} units together tell too little of it (R² {_r2(row['effect'])})."
        )
    best, second, every = row["best_unit"], row["second_unit"], max(row["effect"], row["best_effect"])
    says = {
        "localist": f"is held by one unit of {where} (localist)",
        "copies": f"is held by several units of {where}, each by itself (copies)",
        "distributed": f"is spread over units of {where} (distributed)",
        "not told apart": f"is in {where}, not told apart whether in one unit or in several",
    }[row["code"]]
    numbers = [
        f"R² {_r2(row['best_effect'])} of unit {best} alone", f"{_r2(row['second_effect'])} of unit {second} alone",
        f"{_r2(row['rest'])} of all but unit {best}", f"{_r2(row['effect'])} of all {few}",
    ]  # fmt: skip
    also = "; the others together tell it too" if row["rest"] >= share * every else ""
    chance = row["code"] == "localist" and few in LOOKS_SO
    look = f"; of {few} units, in about {LOOKS_SO[few]} cases a random basis looks so" if chance else ""
    return f"{told} {says}: {', '.join(numbers)}{also}{look}."


def _r2(value: float) -> str:
    return f"{value:.2f}"
