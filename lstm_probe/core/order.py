"""In which order units and signals are shown, in figures and in words alike."""

import pandas as pd

from lstm_probe.core.vocabulary import ROLES

UNIT = ["layer", "direction", "unit"]
UnitKey = tuple[int, str, int]


def shown_variable(probes: pd.DataFrame, variable: str = "c") -> str:
    """Return `variable` if it was probed, else the first one that was."""
    probed = list(probes["variable"].unique())
    return variable if variable in probed or not probed else probed[0]


def signal_order(probes: pd.DataFrame) -> list[str]:
    """Return the signals: targets first, then latent ones, distractors, nuisances; in these as they come."""
    roles = probes.drop_duplicates("signal").set_index("signal")["role"]
    rank = list(ROLES)
    return sorted(roles.index, key=lambda signal: rank.index(roles[signal]) if roles[signal] in rank else len(rank))


def unit_label(key: UnitKey, layers: bool = False) -> str:
    """Return what a unit is called beside others: its number, with its layer where there are several."""
    layer, direction, unit = key
    return (f"{layer}·{unit}" if layers else f"{unit}") + ("←" if direction == "reverse" else "")


def several_layers(keys: list[UnitKey]) -> bool:
    """Return whether units of more than one layer are among these."""
    return len({layer for layer, _, _ in keys}) > 1
