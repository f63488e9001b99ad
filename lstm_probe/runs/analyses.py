"""THE list of analyses: each is declared here once, and everything else loops over this list.

An entry says what an analysis is called, what makes its table, which settings it has, what its columns mean, how it
is drawn, and what a unit's card and the page say of it. From it follow the configuration keys, the file in a run's
folder, the attribute of a `Run`, `lstm_probe.columns`, `probe run=`, `ablate run=` and `dynamics run=`, the page, the
cards and the help. To add an analysis is one new file (its function, its columns, its sentences) and one entry in
`listed/`, by the command that makes it.

Nothing here imports anything heavy: functions are named, and imported when they are called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any

from lstm_probe.core.columns import Columns
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.run_columns import FURTHER
from lstm_probe.runs.analysis import Analysis, resolve
from lstm_probe.runs.listed.ablating import ABLATING
from lstm_probe.runs.listed.following import FOLLOWING
from lstm_probe.runs.listed.probing import FURTHER_PROBING, PROBING

#: In the order in which they are made and shown.
LIST: tuple[Analysis, ...] = (*PROBING, *ABLATING, *FOLLOWING, *FURTHER_PROBING)

#: Tables that are made from other tables, where their columns stand beside what makes them.
MADE_OF_OTHERS = {
    "acquired": "probing.analyses.learning:ACQUIRED_COLUMNS",
    "tracked_against_needed": "causal.against:COLUMNS",
    "rank_correlations": "causal.against:CORRELATION_COLUMNS",
    "match_units": "probing.analyses.matching:MATCH_COLUMNS",
    "network_similarity": "probing.analyses.matching:SIMILARITY_COLUMNS",
    "universal_units": "probing.analyses.universal:COLUMNS",
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
        name: of an analysis, such as "probes", or of another table: history, runs, shrink, memory_spans, unit_codes,
            unit_pairs, stability, signal_correlations, across_seeds, size_trials, size_scores, size_curve,
            tracked_against_needed, rank_correlations, match_units, network_similarity, universal_units.
            acquired, tracked_against_needed, rank_correlations.

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
