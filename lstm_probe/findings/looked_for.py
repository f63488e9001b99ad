"""Which kinds of code were looked for, and which were not: a unit without a finding may hold one of the latter."""

from collections.abc import Iterable, Sequence

from lstm_probe.findings.words import listing

CURVE = "one unit along a curve"
EARLIER = "what a signal was some steps ago"

#: Which kinds of code each analysis looks for.
CODES = {
    "probes": ("one unit along a straight line", CURVE),
    "populations": ("all units of a layer together, linearly",),
    "codes": ("one unit against random directions",),
    "memory": (EARLIER,),
    "cross_time": ("linear codes that change with time",),
    "sparse": ("the best few units together",),
    "conjunctions": ("two signals together in one unit",),
}

#: What a signal's kind adds.
ANGLES = "angles, by sine and cosine"

#: No analysis looks for these.
NEVER = ("three or more signals together", "curves of several units at once")


def looked_for(analyses: Sequence[str], kinds: Sequence[str], *, curved: bool = True, lags: Iterable[int] = ()) -> str:
    """Return two sentences on which kinds of code were looked for and which were not.

    Args:
        analyses: the names of those that were made; those that look for no code of their own say nothing here.
        kinds: of the signals.
        curved: whether curves were looked for along with the probes.
        lags: how many steps ago signals were looked at, each as often as it comes in the table of `memory`, if known.

    >>> looked_for(["probes", "conjunctions"], ["continuous"]).partition(". ")[0]
    'Looked for: one unit along a straight line; one unit along a curve; two signals together in one unit'
    """
    made = [words for name, own in CODES.items() if name in analyses for words in own if curved or words != CURVE]
    missed = [f"{words} (analysis {name})" for name, own in CODES.items() if name not in analyses for words in own]
    missed += [] if curved else [f"{CURVE} (lstm_probe.curved_units)"]
    past = sorted({int(lag) for lag in lags} - {0})
    if past and EARLIER in made:
        told = listing([str(lag) for lag in past])
        made[made.index(EARLIER)] = f"what a signal was {told} step{'s' * (past != [1])} ago"
        missed.append("what it was any other number of steps ago")
    if "circular" not in kinds:
        missed.append(f"{ANGLES} (no signal is of kind circular)")
    elif made:
        made.append(ANGLES)
    return f"Looked for: {'; '.join(made) or 'nothing'}. Not looked for: {'; '.join([*missed, *NEVER])}."
