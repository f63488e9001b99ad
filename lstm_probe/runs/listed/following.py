"""Analyses of how memories are written, held and read, made by `dynamics`."""

from collections.abc import Mapping
from typing import Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import declare
from lstm_probe.runs.analysis import Analysis

#: The constant input of fixed points.
_CONSTANT = {"constant": (str, declare(
    "0", "constant input to the recurrent layer whose fixed points are found: a number for each line; 0 for all",
    example="'1 0 0'"))}  # fmt: skip


def _constant(settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        numbers = [float(word) for word in str(settings["constant"]).replace(",", " ").split()]
    except ValueError:
        raise InputError(f"dynamics.constant={settings['constant']}: must be numbers, as in '1 0 0'") from None
    return {"inputs": numbers if any(numbers) else None}


FOLLOWING = (
    Analysis(
        "timescales", "dynamics", "how long each unit's memory lasts",
        "dynamics.timescales:timescales", "dynamics.timescales:COLUMNS", lags=None, without_outputs=True,
        figure="figures.timescales:timescales", drawn="dynamics.timescales:drawn",
        caption="How long memories last. Above the line, a memory outlasts what its forget gate alone would hold: it "
        "is written again, or adds up. Marks on the right: how long the signals themselves go on.",
        card="dynamics.timescales:timescale_sentences", page="dynamics.timescales:by_unit",
    ),
    Analysis(
        "memory_flow", "dynamics", "how each unit's memory is written, held and read, each link tried",
        "dynamics.flow:memory_flow", "dynamics.flow:COLUMNS",
        takes=("bootstrap",), default=False, lags=None, sequences=384,
        figure="figures.memory_flow:memory_flow", drawn="dynamics.flow_words:best_read",
        caption="How memories are written, held and read, tried by putting events into the input and another "
        "sequence's value into the memory. Dashed: what the forget gate alone would leave.",
        card="dynamics.flow_words:flow_sentences", page="dynamics.flow_words:flow_rows",
    ),
    Analysis(
        "erasure", "dynamics", "what each target loses when a signal's linear trace is taken out at every step",
        "causal.erasure:erase_signals", "causal.erasure:COLUMNS",
        takes=("bootstrap", "controls"), default=False, lags=None, sequences=8192,
        settings={
            "controls": (int, declare(20, "random directions beside each signal (erasure, steering)", 0, 1000)),
            "erase_from": (str, declare("h", "what signals are taken out of (erasure)", choices=("h", "c", "both"))),
        },
        also=lambda settings: {"variable": settings["erase_from"]},
        figure="figures.erasure:erasure", drawn="runs.illustrations:known_left",
        caption="What does a signal do? Its linear trace is taken out of every layer at every step. Dots: the share "
        "of the target's score that is left, with 95 % intervals; bands: what random directions leave.",
        words="findings.erasure:erasure_sentences", page="findings.erasure:erasure_rows",
    ),
    Analysis(
        "steering", "dynamics", "what the outputs do when the memory is moved along a signal's direction",
        "causal.steering:steer", "causal.steering:COLUMNS",
        takes=("bootstrap", "controls", "after", "scale"), default=False, lags=None, sequences=1024,
        settings={
            "scale": (list[float], declare([-2.0, -1.0, 0.0, 1.0, 2.0], "moves, in standard deviations of the "
                                           "signal (steering)", -100.0, 100.0)),
        },
        words="findings.erasure:steering_sentences", page="findings.erasure:steering_rows",
    ),
    Analysis(
        "patches", "dynamics", "whether the outputs follow a unit's memory that comes from another sequence",
        "causal.patches:patches_of_run", "causal.patches:COLUMNS",
        takes=("after", "min_moved"), lags=None,
        settings={
            "patch_moments": (int, declare(3, "moments after which memories come from another sequence", 1, 1000)),
            "min_moved": (float, declare(
                0.1, "smallest share of what the whole state moves from which on an output reads a unit", 0.0, 1.0)),
        },
        also=lambda settings: {"steps": settings["patch_moments"]},
        figure="figures.shares:patches", drawn="runs.illustrations:first_patches",
        caption="From which units do the outputs read? One unit's memory at a moment comes from another sequence: how "
        "far does the output follow, as a share of what the whole state moves, with its 95 % interval.",
        card_end="findings.patches:patch_sentences", page="runs.illustrations:read_from",
    ),
    Analysis(
        "fixed_points", "dynamics", "where the state stands still under a constant input, and what that stands for",
        "dynamics.fixed_points:fixed_points", "dynamics.fixed_points:COLUMNS", default=False, lags=None,
        without_outputs=True, settings=_CONSTANT, also=_constant, words="findings.fixed_points:fixed_point_sentences",
        card="findings.resting:rest_sentences",
        page="findings.fixed_points:point_rows",
    ),
    Analysis(
        "state_space", "dynamics", "states and fixed points in two principal components",
        "dynamics.state_space:state_space", "dynamics.state_space:COLUMNS", default=False, lags=None,
        without_outputs=True, also=_constant, figure="figures.state_space:state_space",
        shown="findings.pictures:states_shown",
        caption="Where the state moves and where it stands still: the two directions in which states of the data vary "
        "most. Fixed points are those of a constant input, so that they may lie where no sequence leads.",
    ),
)  # fmt: skip
