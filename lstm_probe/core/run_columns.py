"""The columns of tables about runs as a whole: histories, stores, several seeds, searches for a size, and shrinking."""

from lstm_probe.core.columns import (
    MEMORY_SPAN_COLUMNS,
    PAIR_COLUMNS,
    RUN_COLUMNS,
    SHARED,
    SIGNAL,
    SIGNAL_CORRELATION_COLUMNS,
    STABILITY_COLUMNS,
    UNIT_CODE_COLUMNS,
    Columns,
    columns,
    interval,
)

SEED_COLUMNS = columns(
    "task", "units", "variable", *SIGNAL,
    n_seeds="How many trained networks there are.",
    share_tracked="Share of networks in which at least one unit tracks the signal.",
    best_effect="Mean over networks of the best unit's effect.", **interval("best_effect"),
    tracking_units="Mean number of units that track the signal.",
)  # fmt: skip
SHRINK_COLUMNS = columns(
    stage="as it is, exact (cut so that nothing changes), merged (in least squares) or tuned (trained); those that "
    "cut something.",
    units=SHARED["units"],
    updates="How many updates of weights were done until then.",
    target="Name of the target, outputs where there are none, or all.",
    sequences="chose (fitted to), decided (the size), or check (neither).",
    score="The target's score between 0 and 1; missing for all.",
    share="The same as a share of the network's own score before; of all, the least.",
)  # fmt: skip
SIZE_TRIAL_COLUMNS = columns(
    *RUN_COLUMNS,
    solved="Whether every target reached what counts as solved.",
    score="Score of the target that lacks most of what counts as solved, on the test sequences.",
    lacking="Name of that target.",
    seconds="Seconds that the training took.",
    there="Whether the run was there before the search.",
)  # fmt: skip
SIZE_SCORE_COLUMNS = columns(
    *RUN_COLUMNS, "target",
    score="Score of the target on the test sequences: 1 at best, 0 for chance.",
    threshold="The lowest score that counts as solved.",
    solved="Whether the score is at least that.",
)  # fmt: skip
SIZE_CURVE_COLUMNS = columns(
    target="Name of the target, or all: every target at once.",
    units=SHARED["units"],
    p_solved="How often trainings of that size solve it: mean of the posterior.",
    **interval("p_solved"),
    tried="How many trainings of that size there are.",
    solved="How many of them solved it.",
)  # fmt: skip
HISTORY_COLUMNS = columns(
    step="How many updates were done.",
    split="train, validation or test.",
    target="Name of the target, or all.",
    metric="loss, or the target's score.",
    value="What was measured.",
    learning_rate="Learning rate at that update.",
    seconds="Seconds of training so far.",
)
RUNS_COLUMNS = columns(
    "run", "task", "units",
    layers="How many layers.",
    seed=SHARED["seed"],
    solved="Whether every target reached what counts as solved.",
    learned="Whether every target was learned.",
    lowest="Lowest score of its targets on the test sequences: 1 at best, 0 for chance; missing where there is none.",
    of="Name of the target with that score.",
    seconds="Seconds that it took in all.",
    finished="When it was finished.",
    path="Its folder.",
)  # fmt: skip

#: Tables that are made from other tables, or beside an analysis.
FURTHER: dict[str, Columns] = {
    "history": HISTORY_COLUMNS,
    "runs": RUNS_COLUMNS,
    "shrink": SHRINK_COLUMNS,
    "memory_spans": MEMORY_SPAN_COLUMNS,
    "signal_correlations": SIGNAL_CORRELATION_COLUMNS,
    "unit_codes": UNIT_CODE_COLUMNS,
    "unit_pairs": PAIR_COLUMNS,
    "stability": STABILITY_COLUMNS,
    "across_seeds": SEED_COLUMNS,
    "size_trials": SIZE_TRIAL_COLUMNS,
    "size_scores": SIZE_SCORE_COLUMNS,
    "size_curve": SIZE_CURVE_COLUMNS,
}
