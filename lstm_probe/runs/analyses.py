"""THE list of analyses: each is declared here once, and everything else loops over this list.

An entry says what an analysis is called, what makes its table, which settings it has, what its columns mean, how it
is drawn, and what a unit's card and the page say of it. From it follow the configuration keys, the file in a run's
folder, the attribute of a `Run`, `lstm_probe.columns`, `probe run=`, `ablate run=` and `dynamics run=`, the page, the
cards and the help. To add an analysis is one new file (its function, its columns, its sentences) and one entry here.

Nothing here imports anything heavy: functions are named, and imported when they are called.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from importlib import import_module
from typing import Any

from lstm_probe.core.columns import FURTHER, Columns
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import declare
from lstm_probe.core.vocabulary import ALONG, METHODS


def _nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Analysis:
    """One analysis of a run.

    Functions are named as "module:function", a module of this package.

    Attributes:
        name: of its table, of the file `<name>.parquet`, and of the attribute of a Run.
        command: which command makes it ("probe", "ablate" or "dynamics"), and under which key its settings stand.
        says: what the table says, in a few words.
        function: makes the table from a recording and signals ("probe"), or from a model and a batch
            (and signals, where it has such a parameter).
        declared: the table's columns with a sentence on each: "module:NAME".
        takes: which of the command's settings are handed on, by their own names.
        settings: what it brings along: configuration keys by name, each with its type and its field.
        default: whether it is made when nothing else is said.
        all_variables: whether it looks at every variable that is probed, instead of the memory c alone (or the
            first that is probed, where c is not).
        lags: "all" that are probed, the "first", or None: the analysis has none, or chooses them itself.
        also: further arguments, made from the command's settings.
        figure: draws the table, or what `drawn` chooses of it; None for no figure of its own on the page.
        drawn: chooses the rows to draw.
        alt, caption: what the picture shows, for those who do not see it, and below it.
        card, card_end: sentences on one unit, from its rows of the table and an `About`; `card_end` comes after
            all other analyses' sentences.
        page: makes a small table for the page and the terminal out of the whole one.
        sequences: how many it takes at least, whatever the command's settings say; None: as many as they say.
        without_outputs: whether it can be made of a network whose outputs mean nothing here, such as an imported one
            without its readout.
    """

    name: str
    command: str
    says: str
    function: str
    declared: str
    takes: tuple[str, ...] = ()
    settings: Mapping[str, tuple[Any, Field[Any]]] = field(default_factory=dict)
    default: bool = True
    all_variables: bool = False
    lags: str | None = "first"
    also: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
    figure: str | None = None
    drawn: str | None = None
    alt: str = ""
    caption: str = ""
    card: str | None = None
    card_end: str | None = None
    page: str | None = None
    sequences: int | None = None
    without_outputs: bool = False

    @property
    def file(self) -> str:
        """The name of its file in a run's folder."""
        return f"{self.name}.parquet"

    @property
    def columns(self) -> Columns:
        """The columns of the table, with a sentence on each."""
        result: Columns = resolve(self.declared)
        return result


def resolve(name: str) -> Any:
    """Return what is named as "module:name" in this package."""
    module, _, own = name.partition(":")
    return getattr(import_module(f"lstm_probe.{module}"), own)


_DECISION = ("alpha", "min_effect", "min_effect_class", "margin", "least_margin", "least_swap")

#: What the word for a signal's code depends on; shares are of the R² of all units together.
_CODES = {
    "code_share": (float, declare(0.9, "share that a unit which holds a signal reaches by itself", 0.0, 1.0)),
    "code_low": (float, declare(0.75, "share below which a unit does not hold a signal", 0.0, 1.0)),
    "code_rest": (float, declare(0.5, "share up to which all other units together know little", 0.0, 1.0)),
    "code_margin": (float, declare(0.1, "how far in R² a unit must lie above random bases", 0.0, 1.0)),
    "code_closed": (float, declare(
        0.9, "how much of what is left to 1 it must close, where that is less than code_margin", 0.0, 1.0)),
}  # fmt: skip

LIST = (
    Analysis(
        "probes", "probe", "which unit tracks which signal, by itself",
        "runs.measure:probes_and_curves", "core.columns:CURVED_COLUMNS",
        takes=("permutations", "null", "bootstrap", "untrained", "window", *_DECISION),
        settings={"window": (int, declare(
            3, "steps before the present one that the baseline of recent inputs sees", 0, 1000))},
        all_variables=True, lags="all",
        card="findings.cards:tracked_sentences", card_end="findings.cards:further_sentences",
    ),
    Analysis(
        "populations", "probe", "what all units of a layer predict together",
        "probing.analyses.populations:probe_populations", "core.columns:POPULATION_COLUMNS",
        takes=("bootstrap", "untrained", "estimator"), all_variables=True, lags="all",
    ),
    Analysis(
        "codes", "probe", "whether a signal is held by one unit, by several each, or spread over many",
        "probing.analyses.coding:signal_codes", "core.columns:SIGNAL_CODE_COLUMNS",
        takes=("rotations", "alpha", "min_effect", *_CODES), settings=_CODES | {"rotations": (int, declare(
            200, "random bases that the units' own is compared with", 19, 1_000_000))},
        figure="figures.codes:codes", drawn="runs.illustrations:defined_codes",
        alt="For each signal, its two best units beside the best axes of randomly turned bases and all units together",
        caption="Is the unit the right thing to look at? The two best units, each by itself, beside all units together "
        "and the best direction of bases turned at random.",
    ),
    Analysis(
        "memory", "probe", "for how long each unit remembers each signal",
        "probing.analyses.memory:memory_curves", "core.columns:MEMORY_COLUMNS",
        takes=("permutations", "null", "untrained", *_DECISION), lags=None,
        figure="figures.memory:memory", drawn="runs.illustrations:best_remembered",
        alt="For each signal, how well its best units predict its value of some steps ago, against the lag",
        caption="For how long: the effect of the signal as it was some steps ago. Dashed: what untrained units reach, "
        "and what the signal of this step says of its own past.",
        card="findings.cards:memory_sentences",
    ),
    Analysis(
        "confounds", "probe", "what each unit adds to the input, the step index and the other signals",
        "probing.analyses.confounds:partial_effects", "core.columns:CONFOUND_COLUMNS",
        card="findings.cards:confound_sentences",
    ),
    Analysis(
        "tuning", "probe", "each unit's mean and spread at each value of a signal",
        "probing.analyses.tuning:tuning_curves", "core.columns:TUNING_COLUMNS",
    ),
    Analysis(
        "saturation", "probe", "in what share of steps each gate is shut or open",
        "dynamics.saturation:gate_saturation", "dynamics.saturation:COLUMNS",
        all_variables=True, lags=None,
        also=lambda settings: {"low": settings["saturation_low"], "high": settings["saturation_high"]},
        settings={
            "saturation_low": (float, declare(0.1, "a gate below this is shut", 0.0, 1.0)),
            "saturation_high": (float, declare(0.9, "a gate above this is open", 0.0, 1.0)),
        },
        card="dynamics.saturation:saturation_sentences",
        page="dynamics.saturation:by_unit",
    ),
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
        alt="For each target and for all, share of the score that is left against the number of units that are left",
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
        alt="For each target and for all, share of the score that is left against the number of units kept, in the "
        "best order and in random ones",
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
        alt="For each target, the units with the largest shares of its score, with their intervals, and all others",
        caption="To whom the score is owed: each unit's Shapley value, with its 95 % interval. Together they make up "
        "what is lost when all units are clamped; copies share alike.",
        card_end="findings.shares:share_sentences", page="runs.illustrations:largest_shares",
    ),
    Analysis(
        "timescales", "dynamics", "how long each unit's memory lasts",
        "dynamics.timescales:timescales", "dynamics.timescales:COLUMNS", lags=None, without_outputs=True,
        figure="figures.timescales:timescales", drawn="dynamics.timescales:drawn",
        alt="One dot for each unit: how long its forget gate alone would hold a value, and how long its memory goes on "
        "resembling itself",
        caption="How long memories last. Above the line, a memory outlasts what its forget gate alone would hold: it "
        "is written again, or adds up. Marks on the right: how long the signals themselves go on.",
        card="dynamics.timescales:timescale_sentences", page="dynamics.timescales:by_unit",
    ),
    Analysis(
        "memory_flow", "dynamics", "how each unit's memory is written, held and read, each link tried",
        "dynamics.flow:memory_flow", "dynamics.flow:COLUMNS",
        takes=("bootstrap",), default=False, lags=None, sequences=384,
        figure="figures.memory_flow:memory_flow", drawn="dynamics.flow_words:best_read",
        alt="For the units that outputs read most: bars of the events that write them, a curve of how long a value "
        "lasts, bars of who reads them",
        caption="How memories are written, held and read, tried by putting events into the input and another "
        "sequence's value into the memory. Dashed: what the forget gate alone would leave.",
        card="dynamics.flow_words:flow_sentences", page="dynamics.flow_words:flow_rows",
    ),
    Analysis(
        "cross_time", "probe", "whether a read-out fitted at one time works at others",
        "probing.analyses.cross_time:cross_time", "core.columns:CROSS_TIME_COLUMNS",
        takes=("along", "steps"), default=False, lags=None,
        settings={
            "along": (str, declare("step", "what cross_time compares: windows of the step index, or lags",
                                   choices=ALONG)),
            "steps": (int, declare(10, "windows of the step index that cross_time compares", 2, 1000)),
        },
        also=lambda settings: {"lags": settings["lags"]} if settings["along"] == "lag" else {},
        figure="figures.cross_time:cross_time",
        alt="For each signal, a square: effect of the read-out fitted at one time (rows) and tested at another",
        caption="Temporal generalization: a read-out of all units, fitted at one time and tested at every other.",
        page="runs.illustrations:stability_rows",
    ),
    Analysis(
        "sparse", "probe", "how well the best few units predict each signal",
        "probing.analyses.sparse:sparse_paths", "core.columns:SPARSE_COLUMNS",
        takes=("methods", "most"), default=False,
        settings={
            "methods": (list[str], declare(list(METHODS), "how the best few units are chosen (sparse)",
                                           choices=METHODS)),
            "most": (int, declare(16, "largest number of units of a sparse read-out", 1, 4096)),
        },
        figure="figures.sparse_paths:sparse_paths",
        alt="For each signal, effect against the number of units that a read-out may use",
        caption="How many units it takes: the held-out effect of the best 1, 2, ... units together.",
        page="runs.illustrations:enough_units",
    ),
    Analysis(
        "description", "probe", "how many bits a signal takes for somebody who knows the units",
        "probing.analyses.description:description_length", "core.columns:DESCRIPTION_COLUMNS", default=False,
        page="runs.illustrations:bits_rows",
    ),
    Analysis(
        "conjunctions", "probe", "which units code two signals together",
        "probing.analyses.conjunctions:conjunctions", "core.columns:CONJUNCTION_COLUMNS",
        takes=("permutations", "null", "bootstrap", "untrained", "alpha", "min_effect", "margin", "least_margin"),
        default=False, lags=None,
        settings={"pairs": (int, declare(
            200, "largest number of pairs of signals that conjunctions looks at", 1, 100_000))},
        also=lambda settings: {"most": settings["pairs"]},
        card="findings.conjunctions:conjunction_sentences", page="runs.illustrations:conjunction_rows",
    ),
    Analysis(
        "power", "probe", "which effects this many sequences can show",
        "probing.analyses.power:power", "core.columns:POWER_COLUMNS",
        takes=("permutations", "null", "alpha", "effects"), default=False, lags="all",
        settings={"effects": (list[float], declare(
            [0.1, 0.25, 0.5], "effects that power is asked about", 0.001, 0.999))},
        page="runs.illustrations:power_rows",
    ),
)  # fmt: skip

#: Tables that are made from other tables, where their columns stand beside what makes them.
MADE_OF_OTHERS = {
    "tracked_against_needed": "causal.against:COLUMNS",
    "rank_correlations": "causal.against:CORRELATION_COLUMNS",
}

#: By name, in the order in which they are made and shown.
ANALYSES: Mapping[str, Analysis] = {analysis.name: analysis for analysis in LIST}


def of_command(command: str) -> list[Analysis]:
    """Return a command's analyses."""
    return [analysis for analysis in LIST if analysis.command == command]


def default_names(command: str) -> list[str]:
    """Return the names of the analyses that a command makes when nothing else is said."""
    return [analysis.name for analysis in of_command(command) if analysis.default]


def own_settings(command: str) -> dict[str, tuple[Any, Field[Any]]]:
    """Return the settings that a command's analyses bring along."""
    return {name: own for analysis in of_command(command) for name, own in analysis.settings.items()}


def columns(name: str) -> Columns:
    """Return what each column of a table means, by its name.

    Args:
        name: of an analysis, such as "probes", or of another table: history, shrink, memory_spans, unit_codes,
            unit_pairs, stability, signal_correlations, across_seeds, size_trials, size_scores, size_curve,
            tracked_against_needed, rank_correlations.

    Raises:
        InputError: there is no table of this name.

    >>> columns("ablations")["variable"]
    'Variable that is clamped.'
    """
    every = [*ANALYSES, *FURTHER, *MADE_OF_OTHERS]
    if name not in every:
        raise InputError(f"columns: {name}: no such table.{nearest(name, every)} There are {', '.join(every)}.")
    if name in MADE_OF_OTHERS:
        made: Columns = resolve(MADE_OF_OTHERS[name])
        return made
    return ANALYSES[name].columns if name in ANALYSES else FURTHER[name]


def chosen(names: Sequence[str]) -> list[Analysis]:
    """Return the analyses of these names, in the list's order."""
    return [analysis for analysis in LIST if analysis.name in names]
