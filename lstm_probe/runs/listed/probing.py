"""Analyses of what units tell, made by `probe`: those of most interest, and further ones."""

from lstm_probe.core.fields import declare
from lstm_probe.core.vocabulary import ALONG, EDGES, METHODS
from lstm_probe.runs.analysis import Analysis

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

PROBING = (
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
        shown="findings.pictures:codes_shown",
        caption="Is the unit the right thing to look at? The two best units, each by itself, beside all units together "
        "and the best direction of bases turned at random.",
    ),
    Analysis(
        "memory", "probe", "for how long each unit remembers each signal",
        "probing.analyses.memory:memory_curves", "core.columns:MEMORY_COLUMNS",
        takes=("permutations", "null", "untrained", *_DECISION), lags=None,
        figure="figures.memory:memory", drawn="runs.illustrations:best_remembered",
        shown="findings.pictures:memory_shown",
        caption="For how long: the effect of the signal as it was some steps ago. Dashed: what untrained units reach, "
        "and what the signal of this step says of its own past.",
        card="findings.cards:memory_sentences",
    ),
    Analysis(
        "confounds", "probe", "what each unit adds to the input, the step index and the other signals",
        "probing.analyses.confounds:partial_effects", "core.columns:CONFOUND_COLUMNS",
        card="findings.confounds:confound_sentences",
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
        "aligned", "probe", "each unit's average around an event, by condition",
        "probing.analyses.aligned:aligned_averages", "probing.analyses.aligned:COLUMNS",
        takes=("event", "edge", "by", "before", "after"), default=False, lags=None, needs=("event",),
        settings={
            "event": (str | None, declare(None, "what aligned averages around: a signal, an input (input.0), or a step",
                                          example="count")),
            "edge": (str | None, declare(None, "of such a signal; null: onset of a binary one, change of another",
                                         choices=EDGES)),
            "by": (str | None, declare(
                None, "conditions: a signal with classes; null: none (aligned), the first (clusters)",
                example="bit0")),
            "before": (int | None, declare(None, "steps before an event that aligned shows; null: 10", 0, 100_000)),
            "after": (int | None, declare(None, "steps after an event that aligned shows; null: 20", 0, 100_000)),
        },
        page="probing.analyses.aligned:around_the_event",
        figure="figures.aligned:aligned", drawn="probing.analyses.aligned:most_moved",
        caption="Around an event: the average of the units that move most, with the 95 % interval over sequences.",
    ),
    Analysis(
        "learning", "probe", "at which update of the training each unit acquired its signal",
        "probing.analyses.learning:learning_curves", "probing.analyses.learning:COLUMNS",
        takes=("permutations", "null", "bootstrap", "untrained", *_DECISION),
        default=False, along_training=True,
        figure="figures.acquisition:acquisition", picture="acquisition",
        caption="When it was learned: the effect of each signal's best unit along the training. Dotted: the lowest "
        "score of any target.",
        card="probing.analyses.learning:learning_sentences", page="probing.analyses.learning:by_signal",
    ),
)  # fmt: skip

FURTHER_PROBING = (
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
        caption="How many units it takes: the held-out effect of the best 1, 2, ... units together.",
        page="runs.illustrations:enough_units",
    ),
    Analysis(
        "clusters", "probe", "whether units fall into groups by the conditions in which they vary",
        "probing.analyses.clusters:unit_clusters", "probing.analyses.clusters:COLUMNS",
        takes=("rotations", "alpha", "by"), default=False, lags=None,
        settings={
            "most_clusters": (int, declare(8, "largest number of clusters of units", 2, 1000)),
        },
        also=lambda settings: {"most": settings["most_clusters"]},
        figure="figures.clusters:clusters",
        caption="In which conditions units vary: the variance over sequences, as a share of the unit's largest. Units "
        "stand by cluster; the title says whether random directions cluster as well.",
        card="probing.analyses.clusters:cluster_sentences", page="probing.analyses.clusters:cluster_rows",
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
