"""Do units recur over seeds and sizes? Units of a task's runs matched, in tables and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import known, number
from lstm_probe.core.order import signal_order
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.shown import Shown, Told, listed
from lstm_probe.probing.analyses.halves import ALL
from lstm_probe.probing.analyses.matching import match_units, network_similarity
from lstm_probe.probing.analyses.universal import universal_units
from lstm_probe.runs.run import Run
from lstm_probe.sizing.sweeps import experiments

#: A report matches no more networks of an experiment than this, from the smallest to the largest.
MOST = 5

#: What is not less likely than this by chance is not shown.
ALPHA = 0.05


@dataclass(frozen=True, repr=False)
class Recurring(Shown):
    """What several runs' units have in common.

    Attributes:
        matches: which units go with which; the table of `match_units`.
        similarity: how alike the networks are; the table of `network_similarity`.
        signals: in how many networks some unit tracks each signal; the table of `universal_units`.
    """

    matches: pd.DataFrame
    similarity: pd.DataFrame
    signals: pd.DataFrame

    def _told(self) -> Told:
        networks = sorted({*self.similarity["network"], *self.similarity["other"]} - {ALL})
        title = f"Matched units of {len(networks)} networks: {listed(networks)}"
        return Told(title, self.sentences[:3], more=self.sentences[3:],
                    below=["Tables: .matches .similarity .signals"])  # fmt: skip

    @property
    def sentences(self) -> list[str]:
        """What is shown, and what is not: a line on all networks, then one for each target and latent signal."""
        asked = self.signals[self.signals["role"].isin(("target", "latent"))]
        ranked = {signal: k for k, signal in enumerate(signal_order(asked))}
        rows = sorted(asked.itertuples(), key=lambda row: ranked[str(row.signal)])
        return [_whole_words(self.similarity), *map(_signal_words, rows)]


def match_runs(runs: Sequence[Run], *, sequences: int = 128, permutations: int = 99, seed: int = 0) -> Recurring:
    """Match the units of a task's runs on new sequences of it, and say which signals some unit always tracks.

    Args:
        runs: two or more runs of one task, such as several seeds; they may differ in units.
        sequences: how many are drawn, 8 or more.
        permutations: exchanges of sequences, 1 or more.
        seed: of the sequences, and of all that is random.

    Raises:
        InputError: runs of several tasks; a single run, from which nothing can be concluded; a run without probes.
    """
    tasks = sorted({run.info["task"] for run in runs})
    if len(tasks) > 1:
        raise InputError(f"runs: of several tasks ({', '.join(tasks)}); units are matched between runs of one")
    if len({tuple(sorted(map(str, run.config["task"].items()))) for run in runs}) > 1:
        raise InputError(f"runs: {tasks[0]} with several settings of the task; units are matched between runs of one")
    if len(runs) < 2:
        raise InputError(f"runs: there are {len(runs)}; whether units recur cannot be concluded from fewer than two")
    if bare := [run.name for run in runs if "probes" not in run.measured]:
        raise InputError(f"runs: {', '.join(bare)}: its units were not probed")
    task = runs[0].task
    batch = task.sample_up_to(sequences, derive_seed(seed, "matching data"))
    networks = {run.name: run.model for run in runs}
    settings: dict[str, Any] = {"permutations": permutations, "seed": seed, "task": task.name}
    matches = match_units(networks, batch, **settings)
    similarity = network_similarity(networks, batch, rotations=permutations, **settings)
    probes = pd.concat([run.probes.assign(run=run.name) for run in runs], ignore_index=True)
    return Recurring(matches, similarity, universal_units(probes, matches))


@dataclass(frozen=True)
class Recurred:
    """What a page says of an experiment's networks.

    Attributes:
        lines: sentences; why there is nothing to say, where that is so.
        rows: how alike they are, by each measure: the rows of `network_similarity` on all pairs.
    """

    lines: list[str]
    rows: list[dict[Any, Any]]


def recurring(runs: Sequence[Run]) -> dict[str, Recurred]:
    """Return, by experiment, what the networks that learned it have in common; of at most `MOST`, spread over sizes."""
    found = {}
    for name, members in experiments(runs).items():
        own = [run for run in members if run.info["learned"] and all(run.info["learned"].values())]
        if len(own) < 2:
            continue
        chosen = [own[k] for k in np.unique(np.linspace(0, len(own) - 1, MOST).round().astype(int))]
        try:
            made = match_runs(chosen)
        except InputError as error:
            found[name] = Recurred([f"Their units were not matched: {error}"], [])
            continue
        some = f"{len(chosen)} of {len(own)} networks that learned it, from the smallest to the largest: "
        lines = made.sentences
        lines[0] = (some if len(chosen) < len(own) else "") + lines[0]
        table = made.similarity
        found[name] = Recurred(lines, table[table["network"] == ALL].to_dict("records"))
    return found


def _whole_words(table: pd.DataFrame) -> str:
    """Say how alike matched units are over all pairs, and what of that is not shown."""
    names = {*table["network"], *table["other"]} - {ALL}
    row: Any = next(table[(table["network"] == ALL) & (table["measure"] == "units")].itertuples())
    span = f" [{number(row.ci_low)}, {number(row.ci_high)}]" if known(row.ci_low, row.ci_high) else ""
    chances = [f"exchanged sequences {number(row.shuffled)}, p = {number(row.p_value, 3)}"]
    if np.isfinite(row.rotated):
        chances.append(f"random directions {number(row.rotated)}, p = {number(row.p_rotation, 3)}")
    if np.isfinite(row.untrained):
        chances.append(f"untrained networks {number(row.untrained)}, p = {number(row.p_untrained, 3)}")
    told = f"Matched units of {len(names)} networks: r = {number(row.similarity)}{span} on sequences that chose nothing"
    told += f" ({'; '.join(chances)})."
    if not row.p_value <= ALPHA:
        return f"{told} That they respond alike is not shown."
    missing = []
    if not row.p_rotation <= ALPHA:
        missing.append("that it is units that correspond, and not any directions")
    if not row.p_untrained <= ALPHA:
        missing.append("that training made them alike, and not the inputs alone")
    return told + (f" Not shown: {'; '.join(missing)}." if missing else "")


def _signal_words(row: Any) -> str:
    told = f"{row.signal}: in {row.tracked_in} of {row.n_networks} networks a unit tracks it"
    told += f" (95 % interval of the share {number(row.ci_low)} to {number(row.ci_high)})"
    if not row.n_pairs:
        return told + "."
    told += (
        f"; of {row.n_pairs} pair{'s' if row.n_pairs > 1 else ''}, the two best are matched in {row.by_responses} by"
    )
    told += f" responses, in {row.by_signals} by signals"
    return told + (f", mean |r| {number(row.r)}." if known(row.r) else ".")
