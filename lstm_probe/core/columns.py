"""The columns of tables about units and signals, each with a sentence on what it means.

A table's columns are declared once, as a mapping from name to meaning; `lstm_probe.columns(name)` shows it. Nothing
here imports anything heavy.
"""

from collections.abc import Mapping

#: Columns that mean the same wherever they stand.
SHARED = {
    "run": "Name of the run, empty where the table was made outside of one.",
    "task": "Name of the task.",
    "units": "Units of each layer.",
    "seed": "Seed from which everything random follows.",
    "layer": "Layer, counted from 0, the lowest.",
    "direction": "forward or reverse.",
    "variable": "Variable of the unit: one of h c i f g o.",
    "unit": "Number of the unit within its layer, counted from 0.",
    "signal": "Name of the signal.",
    "kind": "Kind of the signal: continuous, binary, categorical or circular (an angle).",
    "role": "Role of the signal: target, latent, distractor or nuisance.",
    "lag": "How many steps back the signal's value is taken.",
    "metric": "Name of the score: r2, auroc, macro_auroc or circular_r2 (sine and cosine together).",
    "target": "Name of the target.",
    "score": "Score on sequences held out from the fit, on the metric's own scale.",
    "effect": "The score with 0 for chance or worse and 1 for exact: R², or 2·AUROC − 1, floored at 0.",
}

#: What every row of a run's tables, about a unit, and about all units of a layer together starts with.
RUN_COLUMNS = ("run", "task", "units", "seed")
#: What says which signal a row is about.
SIGNAL = ("signal", "kind", "role", "lag")
_LAYER = (*RUN_COLUMNS, "layer", "direction", "variable")
_UNIT = (*_LAYER, "unit")

Columns = Mapping[str, str]


def columns(*shared: str, **own: str) -> Columns:
    """Return a table's columns with their meanings: the shared ones by name, then the table's own in order.

    A shared name in `own` gets a meaning of its own there.

    >>> list(columns("run", "unit", mean="Mean over all steps."))
    ['run', 'unit', 'mean']
    """
    return {**{name: SHARED[name] for name in shared}, **own}


def unit_table(*shared: str, **own: str) -> Columns:
    """Return the columns of a table with a row for each unit and variable; as `columns`."""
    return columns(*_UNIT, *shared, **own)


_LOW, _HIGH = "Lower end of the 95 % interval of {}.", "Upper end of the 95 % interval of {}."


def interval(of: str) -> dict[str, str]:
    """Return the two columns of the interval of a column, on that column's scale."""
    return {"ci_low": _LOW.format(of), "ci_high": _HIGH.format(of)}


_BASELINES = {
    "untrained": "95th percentile of the effects of all units of untrained networks of the same architecture.",
    "input_only": "Effect of the best prediction from the same step's input: linear, look-up, splines.",
    "time_only": "Effect of predicting the signal from the step index alone.",
}

PROBE_COLUMNS = columns(
    *_UNIT, *SIGNAL, "metric", "score", "effect", **interval("effect"),
    r2="R² of a straight line; of classes, the mean over those of their indicators; missing for these in a stream.",
    p_value="Share of permutations in which this very pair does at least as well, itself included.",
    p_family="p-value by the maximum over all units, variables and lags of a signal, Holm over signals.",
    q_value="Benjamini and Hochberg's adjusted p-value over all pairs of the table.",
    untrained=_BASELINES["untrained"],
    untrained_best="Highest effect of any unit of the untrained networks.",
    p_untrained="Share of untrained networks whose best unit for any signal stands out as much, itself counted in; "
    "of unknown origin, the largest over the initialisations looked at.",
    input_only=_BASELINES["input_only"],
    input_window="Effect of the best linear prediction from the last few inputs together; decides nothing.",
    time_only=_BASELINES["time_only"],
    past_swap="Effect with the same present input, but another sequence's state before it; missing where the effect is "
    "too small already, and for a recording without its weights.",
    depth="Least number of last inputs that give 0.9 of the effect beyond that of the step alone: 1 2 3 5 8 12 16, or "
    "inf; missing where there is nothing to say.",
    testable="Whether anything could have been found of this signal with so many sequences, groups, shuffles and "
    "untrained networks.",
    tracks="Whether the unit tracks the signal: significant, large enough, and above every baseline.",
)  # fmt: skip
#: The same with what a curve of each unit predicts; the probes of a run.
CURVED_COLUMNS = {
    **PROBE_COLUMNS,
    "curved": "Effect of the best smooth curve of the unit, where a straight line may miss what it holds.",
    "tracks_curved": "Whether the unit tracks the signal along a curve only.",
}
_FEW = " Missing where the R² within the sample is above 0.99, or there are fewer than 8 sequences."
POPULATION_COLUMNS = columns(
    *_LAYER, *SIGNAL, "metric",
    score="Held-out score of a linear read-out of all units: what this one, trained on so few sequences, predicts.",
    r2_population="Estimated R² of the best linear read-out in the population, floored at 0; missing for classes, and "
    "where there are too few sequences for so many units.",
    ci_low=_LOW.format("r2_population; of score for classes") + _FEW,
    ci_high=_HIGH.format("r2_population; of score for classes") + _FEW,
    untrained=_BASELINES["untrained"].replace("all units of untrained", "the read-out of untrained"),
    input_only=_BASELINES["input_only"],
    control="Score on a control task that gives every input type a random value (Hewitt & Liang 2019).",
    selectivity="score − control.",
    n_units_90="Fewest units, chosen greedily, that reach 90 % of the effect of all; missing below an effect of 0.05.",
)  # fmt: skip
#: What a clamp costs a target; of one unit in `ablations`, of several at once in `sets`.
_COST = {
    "target": SHARED["target"],
    "metric": "Name of the target's score: r2, exact_sequences, explained_entropy or accuracy.",
    "intact": "The target's score of the intact network, as it stands; not floored at 0.",
    "clamped": "The target's score under the clamp, as it stands; not floored at 0.",
    "score_drop": "What the score loses as it stands: intact − clamped, both floored at 0, which is chance.",
    **interval("score_drop"),
    "refit_drop": "What remains lost after the output is brought back to scale, intact and clamped alike: by a "
    "straight line for numbers, by a temperature and a bias for each class; at most `intact`.",
    "refit_ci_low": _LOW.format("refit_drop"),
    "refit_ci_high": _HIGH.format("refit_drop"),
    "readout_drop": "What remains lost after the whole readout is fitted again from h: information that is gone; "
    "missing where h cannot be told by sequence and step.",
    "off_data": "Whether the clamp is far off the data: a value outside of what the unit ever took, or h outside of "
    "its range, by more than a twentieth of it, in more than 1 % of steps; missing where the value is within "
    "and h cannot be told by step.",
}
ABLATION_COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction", "unit",
    variable="Variable that is clamped.",
    mode="What it is clamped to: mean, zero, or resample (the values of another sequence).",
    **_COST,
    needed="alone: clamping it costs the target. together: it belongs to a smallest set of units that cost nothing "
    "alone, but cost the target when clamped at once. no: clamped at once with all others of which that is not so, it "
    "costs nothing, at the means of each half of the sequences, too. not measured: it costs nothing alone and more is "
    "not known, or the intact score is below 0.05.",
)  # fmt: skip
SET_COLUMNS = columns(
    *RUN_COLUMNS,
    set="Units that are clamped at once, by number, with their layer where there are several.",
    why="given; or of a run: no cost alone (all such units), needed together (a smallest set of them), not needed (the "
    "rest, which costs nothing at the means of these sequences; whether its units are not needed, `needed` says).",
    n_units="How many units that are.",
    variable="Variable that is clamped.",
    mode="What it is clamped to: mean, zero, or resample.",
    **_COST,
)  # fmt: skip
SHARE_COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction", "unit", "target",
    share="Shapley value of the unit: its part of the refitted score that all units together bring about.",
    **interval("share"),
    se="Standard error of the share.",
)  # fmt: skip
PAIR_COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction", "unit",
    other_layer="Layer of the other unit.",
    other_direction="Direction of the other unit.",
    other="The other unit.",
    target=SHARED["target"],
    drop="What the refitted score loses when the unit alone is clamped.",
    other_drop="What it loses when the other alone is.",
    both_drop="What it loses when both are clamped at once.",
    interaction="both_drop − drop − other_drop: above 0 where one stands in for the other, below 0 where each is worth "
    "something with the other alone.", **interval("interaction"),
)  # fmt: skip
SUFFICIENT_COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction", "unit",
    target="Name of the target, or all.",
    order="Place in the order of elimination, counted from 0: those that are not kept come first.",
    kept="Whether the unit belongs to the set that is enough.",
    score="Share of the intact refitted score (of all: the least over targets) with only the units from here on, on "
    "the sequences that chose; missing where that was not measured.",
)  # fmt: skip
TUNING_COLUMNS = columns(
    *_UNIT, *SIGNAL,
    level="Value of the signal, or the mean of its bin; of text, the class's number in alphabetical order, from 0.",
    low="Smallest value of the signal in the bin.",
    high="Largest value of the signal in the bin.",
    n="How many steps there are.",
    mean="Mean of the variable at these steps, in its own units.",
    sd="Standard deviation of the variable at these steps.", **interval("mean"),
)  # fmt: skip
MEMORY_COLUMNS = columns(
    *_UNIT, *SIGNAL, "metric", "score", "effect", **_BASELINES,
    signal_itself="Effect of predicting the signal's past value from its own present value; missing where the two are "
    "never both labelled.",
    held="Whether the unit has held the value since: tracked at that lag, and told better than by the present one, "
    "which the unit does not tell.",
)  # fmt: skip
MEMORY_SPAN_COLUMNS = columns(
    *_UNIT, "signal", "kind", "role",
    peak_lag="Lag at which the effect is highest.",
    peak_effect="Effect at that lag.",
    span="Largest lag reached from there on with the signal known at every lag between.",
    beyond_signal="Largest of these lags at which the unit knows more than the signal's present value does.",
)  # fmt: skip
CONFOUND_COLUMNS = columns(
    *_UNIT, *SIGNAL,
    effect="R² of the unit alone; of a class signal, the mean over the classes' indicators.",
    partial="Partial R²: what the unit adds once the input, the step index and all other signals are known.",
    **interval("partial"),
    collinear_with="Signals left out because they, or a part of one of the two (a class, a sine or cosine), correlate "
    "too much with this one, joined by commas (as in CSV).",
)  # fmt: skip
CONJUNCTION_COLUMNS = columns(
    *_UNIT, "signal",
    other="The other signal of the pair.",
    effect="R² of the unit for what only both signals together tell, on held-out sequences, floored at 0.",
    **interval("effect"),
    effect_signal="Effect of the unit on the signal alone.",
    effect_other="Effect of the unit on the other signal alone.",
    p_value="Share of permutations in which this unit does at least as well, times the number of products of the pair.",
    p_family="p-value by the maximum over all units, variables and products of a pair, Holm over pairs.",
    input_only=_BASELINES["input_only"],
    time_only=_BASELINES["time_only"].replace("the signal", "the same"),
    untrained=_BASELINES["untrained"],
    other_signal="Held-out R² of a function of the best of all other signals: it may be known from that one, too.",
    found="Whether the unit codes both together: significant, large enough, and above every baseline.",
)  # fmt: skip
SIGNAL_CORRELATION_COLUMNS = columns(
    *RUN_COLUMNS, "signal",
    other="The other signal.",
    r="Correlation over all real steps; of classes, that of the two indicators that correlate most.",
    collinear="Whether |r| is above `max_correlation`, so that the two, or parts of them, can't be told apart.",
)  # fmt: skip
UNIT_CODE_COLUMNS = columns(
    *_UNIT,
    n_signals="How many signals the unit tracks.",
    best_signal="The tracked signal with the highest effect.",
    best_effect="That effect.",
    selectivity="(best − mean of the others) / (best + mean of the others).",
    mixing="Effective number of signals less one, over the most there could be: from 0 for one signal to 1 for all.",
)  # fmt: skip
SIGNAL_CODE_COLUMNS = columns(
    *_LAYER, *SIGNAL,
    effect="R² of all units together by ridge regression, floored at 0; of classes, the mean over indicators.",
    participation="Effective number of units that contribute to the read-out.",
    dimensionality="Share of a dimension that the signal has to itself (Elhage and others 2022).",
    best_unit="Unit with the highest R² by itself.",
    best_effect="That R², floored at 0.",
    second_unit="Unit with the second highest R² by itself.",
    second_effect="That R², floored at 0.",
    rest="R² of all units but the best together by ridge regression, floored at 0.",
    varying="How many units vary; those that are constant take no part.",
    rotated="Median over random orthogonal bases of the best axis's R².",
    rotated_high="95th percentile of the same.",
    p_rotation="(1 + bases whose best axis is at least as good as the best unit) / (1 + bases).",
    code="localist (one unit), copies (several, each by itself), distributed, not told apart, none or undefined.",
)  # fmt: skip
SPARSE_COLUMNS = columns(
    *_LAYER, *SIGNAL, "metric",
    method="How units are chosen: greedy or elastic_net.",
    n_units="How many units are chosen at most.",
    score=SHARED["score"],
    effect=SHARED["effect"],
    chosen="Units that are chosen in more than half of the folds, joined by commas.",
)  # fmt: skip
CROSS_TIME_COLUMNS = columns(
    *_LAYER, "signal", "kind", "role",
    along="What is compared: lags, or windows of the step index.",
    fitted="Lag, or first step of the window, at which the read-out was fitted.",
    tested="Lag, or first step of the window, at which it is tested.",
    metric=SHARED["metric"],
    score=SHARED["score"] + " It may be far below chance.",
    effect=SHARED["effect"],
)  # fmt: skip
STABILITY_COLUMNS = columns(
    *_LAYER, "signal", "kind", "role",
    along="What is compared: lags, or windows of the step index.",
    diagonal="Mean effect of read-outs at the time of their fit.",
    elsewhere="Mean effect of read-outs at all other times.",
    stability="elsewhere / diagonal: 1 for one code at all times; missing where diagonal is below 0.25.",
)  # fmt: skip
DESCRIPTION_COLUMNS = columns(
    *_LAYER, *SIGNAL,
    n="How many steps were coded.",
    bits="Bits of the online code for somebody who knows the units.",
    uniform_bits="Bits without knowing any unit.",
    compression="uniform_bits / bits.",
    control_bits="Bits of a control task with the same values.",
)  # fmt: skip
POWER_COLUMNS = columns(
    *RUN_COLUMNS, *SIGNAL,
    sequences="How many sequences there are.",
    critical="What an effect has to reach to be told from chance.",
    floor="What of that no number of sequences removes: the effect that the null itself leaves to the best unit.",
    detectable="Smallest true effect that does so with a power of 80 %.",
    effect="The effect that is asked about.",
    sequences_needed="How many sequences give that effect a power of 80 %: missing where it is not above `floor` and "
    "none do; above 10 times `sequences` read: more than 10 times as many.",
)  # fmt: skip
