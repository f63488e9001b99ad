"""Analyses of what units are needed for, made by `ablate`."""

from lstm_probe.core.fields import declare
from lstm_probe.runs.analysis import Analysis

ABLATING = (
    Analysis(
        "ablations", "ablate", "what clamping each unit costs, and which are needed, alone or together",
        "causal.ablation:ablate_units", "core.columns:ABLATION_COLUMNS",
        takes=("variable", "mode", "bootstrap", "min_drop"), lags=None,
        card_end="findings.cards:cost_sentences",
    ),
    Analysis(
        "sets", "ablate", "what it costs to clamp at once the units that cost nothing alone",
        "causal.ablation:needed_sets", "core.columns:SET_COLUMNS",
        takes=("variable", "mode", "bootstrap", "min_drop"), lags=None,
    ),
    Analysis(
        "sufficient", "ablate", "how few units carry each target and the task",
        "causal.sufficient:sufficient_sets", "core.columns:SUFFICIENT_COLUMNS",
        takes=("variable", "mode", "bootstrap", "min_drop", "keep", "orders"), lags=None,
        settings={
            "keep": (float, declare(
                0.99, "share of its score that a target keeps with a sufficient set of units", 0.01, 0.9999)),
            "orders": (int, declare(
                0, "random orders, and other halves of the sequences, tried for the spread of such sets", 0, 10_000)),
        },
        figure="figures.sufficient:sufficient",
        caption="How few units are enough? All others are clamped at once; the score is that after a refit. A set is "
        "chosen on one half of the sequences, and its mark stands at what it keeps on the other half, with its 95 % "
        "interval.",
        page="runs.illustrations:set_rows",
    ),
    Analysis(
        "used", "ablate", "how few units carry each target and the task after the others are merged into them",
        "capacity.used:used_if_learned", "capacity.used:COLUMNS",
        takes=("keep",), default=False, lags=None, sequences=1024,
        settings={"random_orders": (int, declare(
            5, "random orders of merging units that are drawn beside the best (used)", 0, 1000))},
        also=lambda settings: {"orders": settings["random_orders"]},
        figure="figures.used:used",
        caption="How many units are used? All others are merged into those that are kept, in least squares and "
        "without training. A mark stands at the fewest that carry the target, chosen on some sequences; its share is "
        "of others, with its 95 % interval.",
        page="runs.illustrations:used_rows",
    ),
    Analysis(
        "dimension", "ablate", "how many dimensions the memory moves in, idle and duplicate units, bits held",
        "capacity.dimension:effective_dimension", "capacity.dimension:COLUMNS",
        default=False, lags=None, page="runs.illustrations:dimension_rows",
    ),
    Analysis(
        "modes", "ablate", "whether it matters what a unit is clamped to: its mean, zero, or other sequences' values",
        "causal.modes:compare_modes", "causal.modes:COLUMNS",
        takes=("variable", "bootstrap", "min_drop"), default=False, lags=None, page="causal.modes:disagreements",
    ),
    Analysis(
        "shares", "ablate", "which part of each target's score is owed to each unit",
        "runs.measure:learned_shares", "core.columns:SHARE_COLUMNS",
        takes=("variable", "mode"), default=False, lags=None, sequences=2048,
        settings={
            "share_error": (float, declare(0.02, "largest standard error of a unit's share of a score", 0.001, 1.0)),
            "share_pairs": (int, declare(200, "most pairs of orders that shares are made from", 2, 100_000)),
        },
        also=lambda settings: {"error": settings["share_error"], "pairs": settings["share_pairs"]},
        figure="figures.shares:shares", drawn="runs.illustrations:known_shares",
        caption="To whom the score is owed: each unit's Shapley value, with its 95 % interval. Together they make up "
        "what is lost when all units are clamped; copies share alike.",
        card_end="findings.shares:share_sentences", page="runs.illustrations:largest_shares",
    ),
)  # fmt: skip
