"""What is known of a run: facts on its units and signals, with their evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lstm_probe.causal.status import ALONE, CURVE, NOW, TOGETHER, TRACKS
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.numbers import known
from lstm_probe.core.order import UnitKey
from lstm_probe.findings.needs import Cost, Joint, Needs
from lstm_probe.probing.inference.decision import Rule

#: A unit that adds less than this to all other signals goes with a signal, and does not hold it besides.
LEAST_PARTIAL = 0.05


@dataclass(frozen=True)
class Verdict:
    """Whether the task was learned: each target's score and whether it counts as learned.

    `solved` is None where it is not known from what score on a target counts as solved; `not_scored` says why there
    are no scores, where there are none.
    """

    solved: bool | None
    scores: Mapping[str, float]
    learned: Mapping[str, bool]
    not_scored: str = ""

    @property
    def lost(self) -> list[str]:
        """Return the targets that were not learned, worst first."""
        return sorted((t for t in self.scores if not self.learned.get(t, False)), key=lambda t: self.scores[t])

    @property
    def lowest(self) -> str:
        """Return the target with the lowest score."""
        return min(self.scores, key=lambda t: self.scores[t])


@dataclass(frozen=True)
class Evidence:
    """How well one variable of a unit predicts one signal, with 95 % interval, the baselines and p-values.

    All but the p-values and the depth are on the scale of `effect`: 0 is chance, 1 is exact. What was not measured is
    NaN.

    Attributes:
        how: as the signal is now, as it was some steps ago, or along a curve (see `causal.status`).
        depth: how many last inputs are enough for most of it.
        partial, partial_low, partial_high: what it adds to the other signals, a partial R², and the ends of its
            interval; of a straight line at this very lag, so not known of curves and of earlier values.
        settled: whether the other signals, the input and the step tell it exactly, so that nothing can be added.
        kind: of the signal.
        same: signals that cannot be told from this one in these sequences, or of which a part is, each with its kind.
        straight: of a curve, what a straight line predicts.
        itself: of an earlier value, what the signal's present value says of it.
    """

    signal: str
    variable: str
    lag: int
    metric: str
    effect: float
    low: float
    high: float
    untrained: float
    input_only: float
    time_only: float
    how: str = NOW
    untrained_best: float = np.nan
    input_window: float = np.nan
    past_swap: float = np.nan
    depth: float = np.nan
    p_family: float = np.nan
    p_untrained: float = np.nan
    q_value: float = np.nan
    partial: float = np.nan
    partial_low: float = np.nan
    partial_high: float = np.nan
    settled: bool = False
    straight: float = np.nan
    itself: float = np.nan
    kind: str = ""
    same: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> str:
        """The signal as the unit holds it: "count", "count of 5 steps ago", or "count along a curve"."""
        ago = f" of {self.lag} step{'' if self.lag == 1 else 's'} ago" if self.lag else ""
        return self.signal + ago + (" along a curve" if self.how == CURVE else "")

    @property
    def adds(self) -> bool:
        """Whether it tells something that the other signals do not; true where that was not measured."""
        unmeasured = not known(self.partial) and not self.settled
        return unmeasured or (self.partial >= LEAST_PARTIAL and not self.partial_low <= 0)

    @property
    def adds_nothing(self) -> bool:
        """Whether it surely tells next to nothing that the other signals do not, by its interval."""
        return self.partial_high < LEAST_PARTIAL  # false where that is NaN

    @property
    def baseline(self) -> tuple[str, float]:
        """Return what does best without this unit's memory, in words, and its effect."""
        values = {
            "untrained units": self.untrained,
            "the present input alone": self.input_only,
            "the step's number alone": self.time_only,
        }
        return max(values.items(), key=lambda item: item[1] if known(item[1]) else -np.inf)


@dataclass(frozen=True)
class UnitFact:
    """What is known of one unit.

    Attributes:
        label: its number, with its layer where there are several.
        best: what its memory tracks or holds best, None if nothing.
        others: what else its memory tracks, strongest first, where that adds something to the other signals.
        along: what it goes with: it was not shown to add to the other signals, or can't be told from one that it
            tracks.
        elsewhere: the best that another of its variables tracks, None if nothing.
        found: whether something was found that it tracks or holds (see `causal.status.FOUND`).
        needed: whether the network needs it (see `causal.status.NEEDED`).
        costs: what it costs the targets that it is needed alone for, costliest first.
        less: what it costs the others, likewise.
        together: the targets that it is needed together with others for.
        sets: the smallest sets with which it is needed together.
        off_data: whether the clamp is far off what the unit ever took.
    """

    key: UnitKey
    label: str
    status: str
    best: Evidence | None
    others: tuple[Evidence, ...]
    along: tuple[Evidence, ...]
    elsewhere: Evidence | None
    found: str = ""
    needed: str = ""
    costs: tuple[Cost, ...] = ()
    less: tuple[Cost, ...] = ()
    together: tuple[str, ...] = ()
    sets: tuple[Joint, ...] = ()
    off_data: bool = False

    @property
    def quiet(self) -> bool:
        """Whether nothing was found in it, and it is not known to be needed."""
        return self.found != TRACKS and self.needed not in (ALONE, TOGETHER)


@dataclass(frozen=True)
class SignalFact:
    """What is known of one signal.

    Attributes:
        best: of the unit whose memory tells most of it, None where that is undefined: it never changes.
        unit: that unit's label.
        tracked_by: labels of all units whose memory tracks it, strongest first.
        held_by: labels of units that hold it in another way, with the evidence, strongest first.
        goes_with: labels of units that predict it as they hold another signal, with the effect and that signal.
        as_well: those of `tracked_by` that do so as well as the first, in the numbers that are shown.
        same: signals of those it goes with that can't be told from it in these sequences, or of which a part is, each
            with its kind.
        rule: with which thresholds units were probed.
        untrained_together: effect of all units together that 95 % of untrained networks stay below, NaN if unknown.
        together: effect of all units' memories together (of the best layer), NaN if unknown.
        enough: how many units reach 90 % of that, None if unknown.
        code: the verdict on how units hold it (see `signal_codes`), "" where it was not looked at.
        told: that verdict in a sentence; `code_told` says beside it if it is only how a signal can be read.
        testable: whether anything could have been found of it.
        reason: why not.
    """

    signal: str
    kind: str
    role: str
    best: Evidence | None
    unit: str
    tracked_by: tuple[str, ...]
    held_by: tuple[tuple[str, Evidence], ...]
    goes_with: tuple[tuple[str, float, str], ...]
    together: float
    enough: int | None
    code: str = ""
    told: str = ""
    testable: bool = True
    reason: str = ""
    as_well: tuple[str, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)
    rule: Rule = field(default_factory=Rule)
    untrained_together: float = np.nan

    @property
    def held(self) -> bool:
        """Whether units may be said to hold it as it is now, alone or together, by its code.

        That is more than that it can be read from them. Where units only go with it, as they hold another signal, it is
        not said to be held besides. Where none does that either, no single one is said to hold it, and all together
        only where they tell more than the step, the present input and all units of untrained networks together.
        """
        if not self.testable or self.best is None or (self.goes_with and not self.tracked_by):
            return False
        if self.tracked_by:
            return True
        baseline = np.nanmax([self.best.input_only, self.best.time_only, self.untrained_together, 0.0])
        beyond = bool(self.rule.beyond(np.array([self.together]), np.array([baseline])).all())  # not where NaN
        return beyond and self.code not in ("localist", "copies")

    @property
    def code_told(self) -> str:
        """Return the sentence on its code, and that it is no finding where it is none."""
        if not self.told or self.held:
            return self.told
        if not self.testable or not self.goes_with:
            return f"{self.told} So it can be read; that they remember it was not found."
        others = ", ".join(dict.fromkeys(other for *_, other in self.goes_with))
        return f"{self.told} So it can be read, as it goes with what they hold ({others}); no more than that was shown."


@dataclass(frozen=True)
class Findings:
    """All facts about one run, units and signals in reading order.

    `need_unknown` says why it is not known which units are needed, where it is not ("was not measured: ..."); `needs`
    what is known of units together; `origins` how the untrained networks began; `deep` whether all depths were tried,
    for which sequences have to be longer; `cell` what the units are.
    """

    verdict: Verdict
    variable: str
    layers: bool
    units: tuple[UnitFact, ...]
    signals: tuple[SignalFact, ...]
    need_unknown: str = ""
    needs: Needs = field(default_factory=Needs)
    origins: tuple[str, ...] = ()
    deep: bool = True
    cell: Cell = LSTM

    def of_status(self, *statuses: str) -> list[UnitFact]:
        """Return the units that have one of these statuses."""
        return [unit for unit in self.units if unit.status in statuses]

    def of_need(self, *needed: str) -> list[UnitFact]:
        """Return the units that are needed in one of these ways."""
        return [unit for unit in self.units if unit.needed in needed]

    @property
    def needed_alone(self) -> list[UnitFact]:
        """Return the units that are needed alone, costliest first."""
        return sorted(self.of_need(ALONE), key=lambda unit: -unit.costs[0].loss)

    @property
    def quiet(self) -> list[UnitFact]:
        """Return the units in which nothing was found, and that are not known to be needed."""
        return [unit for unit in self.units if unit.quiet]

    @property
    def untested(self) -> list[SignalFact]:
        """Return the signals that have a score, but of which nothing could have been found."""
        return [fact for fact in self.signals if not fact.testable and fact.best is not None]
