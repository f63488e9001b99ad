"""What does a signal's linear trace in the state do? It is taken out at every step, and what is lost is measured.

Taken out of a network once, a signal comes back: units that were not touched write it anew. So it is taken out of the
state after every step, by a map that is fitted on other sequences, which run beside, erased in the same way up to that
step (LEACE: Belrose and others 2023). Two things could refute what such a row says, and stand in it: what a linear
read-out still tells of the signal, and what it costs to take out random directions, as many and in the same way.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.causal.beside import beside
from lstm_probe.causal.editing import Editing
from lstm_probe.causal.erasing import Erased, Erasing, at_random, erased_of, of_signal
from lstm_probe.causal.needs import LEARNED
from lstm_probe.causal.refit import Sums
from lstm_probe.causal.running import Outcome
from lstm_probe.causal.scoring import Scoring
from lstm_probe.cells.known import cell_of
from lstm_probe.core.columns import RUN_COLUMNS, columns, interval
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import find_lstm

#: Up to so much R² at every step, a signal is called erased, where such a share of steps was looked at.
GONE, SEEN = 0.02, 0.9
#: Random directions are taken out on at most so many of the sequences.
FEW = 2048
#: A random direction costs as much if it leaves no more than this above what the signal leaves.
ROUNDING = 1e-9

COLUMNS = columns(
    *RUN_COLUMNS,
    variable="What the signal is taken out of, in every layer and direction: h, the memory, or both.",
    signal="Name of the signal that is taken out.", kind="Kind of the signal: continuous, binary, categorical or "
    "circular (an angle).", role="Role of the signal: target, latent, distractor or nuisance.",
    target="Name of the target.",
    metric="Name of the target's score: r2, exact_sequences, explained_entropy or accuracy.",
    intact="The target's score of the intact network after the outputs are brought back to scale.",
    erased="The same score without the signal.",
    left="erased / intact: the share of the target's score that is left; missing where the target was not learned.",
    **interval("left, over sequences"),
    control_mean="Share that is left on average when random directions are taken out instead, as many and in the "
    "same way.",
    control_low="Of these shares, the 5 % quantile.",
    control_high="Of these shares, the 95 % quantile.",
    controls="How many random directions were tried.",
    p_value="Share of the random directions that leave as little, the signal itself counted in; on the 2,048 sequences "
    "or fewer that these were tried on.",
    rank="How many directions of each layer and direction were taken out at a step, at most.",
    r2_before="R² of a linear read-out of the signal within a step, on sequences it was not fitted on, in the intact "
    "network; mean over steps.",
    r2_left="The same without the signal: mean over steps.",
    r2_worst="The same at the step, layer and direction where it is highest.",
    seen="Share of steps, over sequences, layers and directions, at which this was measured: those with 50 sequences "
    "or more.",
    gone="Whether the signal was taken out: r2_worst is at most 0.02, and seen at least 0.9. If not, the row says "
    "nothing of the signal.",
)  # fmt: skip


@torch.no_grad()
def erase_signals(
    model: nn.Module,
    batch: Batch,
    signals: Signals = None,
    *,
    fit: Batch | None = None,
    layer: str | None = None,
    variable: str = "h",
    fit_once: bool = False,
    controls: int = 20,
    groups: Any = None,
    bootstrap: int = 1000,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Take each signal's linear trace out of the state at every step, and measure what is lost of each target.

    After every step, in every layer and direction, the state is mapped to the nearest one of which no linear read-out
    tells of the signal; the network goes on from there, and its readout and all its gates see nothing else. Since the
    trace is taken out of each layer, it is gone from all together. It is taken out within each step: what all sequences
    have in common at a step stays.

    Args:
        model: a SequenceModel, or any module that holds an LSTM and maps `batch.inputs` to outputs.
        batch: sequences that the model was not trained on, with their targets.
        signals: what to take out, as for `probe_units`; the batch's own where this is None. One that does not vary
            within any step is left out.
        fit: sequences to fit on, with signals of the same names; where this is None, two thirds of the batch are fitted
            on, whole groups of them, and the others looked at. To take out a signal takes about 128 to fit on for each
            unit of a layer.
        layer: the name of the LSTM in the model, where there are several.
        variable: "h" (what the readout and the gates read; the memory may keep the signal), "c" (the memory, whatever
            the cell calls it, and h as it follows), or "both" (the memory, and then h). Where h is the memory, all
            three are h.
        fit_once: fit on the intact network instead, for comparison: then the signal comes back.
        controls: how many random directions are taken out for comparison: random read-outs of the standardized units,
            the same at all steps, of the signal's rank; signals of the same rank share them.
        groups: one entry for each sequence of `batch`, equal ones for those that are not independent of each other;
            those of the batch where this is None.
        bootstrap: resamples of whole sequences for the 95 % intervals.
        seed: of the halves, the random directions and the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each signal and target, columns `COLUMNS`. A row in which `gone` is false says nothing of the
        signal: give more sequences.

    Raises:
        InputError: no targets, an unknown variable, a signal that never changes, sequences to fit on of another
            shape, or a model whose state cannot be edited.

    References:
        Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff & Biderman 2023, LEACE: Perfect linear concept erasure in
        closed form.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> without = lp.erase_signals(net.model, batch, {"count": batch.signals["count"]})
    >>> without[["target", "left"]].round(1).values.tolist()
    [['count', 0.0], ['latch', 1.0]]
    """
    cell = cell_of(find_lstm(model, layer)[1])
    legal = erased_of(cell)
    if variable not in (*legal, "c", "both"):
        raise InputError(f"variable={variable}: must be one of {' '.join(legal)}")
    variable = variable if variable in legal else cell.memory
    if controls < 0:
        raise InputError(f"controls={controls}: must be a whole number from 0")
    if not batch.target_specs:
        raise NothingThereError("erase: the batch has no targets, so nothing can be lost")
    pair = beside(batch, signals, fit, groups, seed)
    editing = Editing(model, pair.batch, layer=layer)
    erasing = Erasing(pair, editing, variable, fit_once, seed)
    intact = erasing.intact()
    scoring = Scoring(pair.looked, Outcome(editing.intact.outputs[pair.fitted :], None), bootstrap, seed, pair.groups)
    erased = {one.name: erasing.without(of_signal(one), one) for one in pair.signals}
    random = _Random.of(erasing, editing, controls)
    about = {"run": run, "task": task, "units": editing.lstm.hidden_size, "seed": seed, "variable": variable}
    rows = [
        {**about, "signal": one.name, "kind": one.kind, "role": one.role, **row}
        for one in pair.signals
        for row in _rows(scoring, erased[one.name], random, intact.left[one.name], one.name)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class _Random:
    """Random directions taken out, on some of the sequences, and what is left then.

    Attributes:
        erasing: the model on these sequences.
        which: of those that are looked at, which these are.
        scoring: of these.
        count: how many directions are tried of each rank.
    """

    erasing: Erasing
    which: Int[Tensor, " looked"]
    scoring: Scoring
    count: int

    @classmethod
    def of(cls, erasing: Erasing, editing: Editing, count: int) -> "_Random":
        """Return those that go with a model."""
        pair, which = erasing.pair.some(FEW)
        small = Editing(editing.model, pair.batch, layer=editing.name)
        outputs = small.intact.outputs[pair.fitted :]
        scoring = Scoring(pair.looked, Outcome(outputs, None), 0, 0, None)
        return cls(replace(erasing, pair=pair, editing=small), which, scoring, count)

    @cached_property
    def _known(self) -> dict[int, list[Sums]]:
        return {}

    def beside(self, run: Erased) -> dict[str, Float[np.ndarray, " run"]]:
        """Return of each target what a run leaves, and then what random directions of its rank do."""
        if run.rank not in self._known:
            made = [self.erasing.without(at_random(run.rank, self.erasing.seed, k)) for k in range(self.count)]
            self._known[run.rank] = [self._sums(one.outputs) for one in made]
        shares = self.scoring.shares([self._sums(run.outputs[self.which]), *self._known[run.rank]])
        return {name: share[0] for name, share in shares.items()}

    def _sums(self, outputs: Tensor) -> Sums:
        return self.scoring.summing.refitted(outputs)


def _rows(
    scoring: Scoring, run: Erased, random: _Random, before: Sequence[float], name: str
) -> Iterator[Mapping[str, Any]]:
    """Yield what taking one signal out does to each target."""
    shares, beside_it = scoring.shares([scoring.summing.refitted(run.outputs)]), random.beside(run)
    after, seen = run.left[name], run.seen[name]
    known = np.array(after)[np.isfinite(after)]
    worst = float(known.max()) if len(known) else math.nan
    left = {"controls": random.count, "rank": run.rank, "r2_before": _mean(before), "r2_left": _mean(after),
            "r2_worst": worst, "seen": seen, "gone": worst <= GONE and seen >= SEEN}  # fmt: skip
    for spec in scoring.batch.target_specs:
        intact, share = float(scoring.before[spec.name][1][0, 0]), shares[spec.name][:, 0]
        share = share if intact >= LEARNED else np.full_like(share, np.nan)
        low, high = np.quantile(share[1:], [0.025, 0.975]) if len(share) > 1 else (math.nan, math.nan)
        yield {"target": spec.name, "metric": spec.metric, "intact": intact, "erased": share[0] * intact,
               "left": share[0], "ci_low": low, "ci_high": high,
               **_against(beside_it[spec.name], intact >= LEARNED), **left}  # fmt: skip


def _against(shares: Float[np.ndarray, " run"], told: bool) -> Mapping[str, float]:
    """Return what random directions leave, and in what share of them it is as little as of the signal, the first."""
    own, others = shares[0], shares[1:]
    if not len(others) or not told:
        return dict.fromkeys(("control_mean", "control_low", "control_high", "p_value"), math.nan)
    low, high = np.quantile(others, [0.05, 0.95])
    p = (1 + int((others <= own + ROUNDING).sum())) / (1 + len(others))
    return {"control_mean": float(others.mean()), "control_low": low, "control_high": high, "p_value": p}


def _mean(values: Sequence[float]) -> float:
    known: Float[np.ndarray, " step"] = np.array(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
