"""Event-aligned averages: what a unit does around an event, on average over trials of the same condition.

What for spikes is called a peri-event (or peri-stimulus) time histogram, PETH or PSTH.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.columns import interval, unit_table
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import UNIT
from lstm_probe.core.quantiles import student
from lstm_probe.probing.data.checks import choose_variables
from lstm_probe.probing.data.events import EVERY, find_conditions, find_events, named_signals
from lstm_probe.probing.data.study import blocks_of, in_memory
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

COLUMNS = unit_table(
    event="What is aligned to: a signal, an input, a step, or events that were given.",
    by="What the conditions are: a signal, or labels that were given; all where there are none.",
    condition="The condition at the event; all where there are none.",
    offset="Steps since the event; below 0 before it.",
    n_events="How many events have such a step in their sequence.",
    n_sequences="From how many sequences these are.",
    mean="Mean of the variable over these events, in its own units; missing where there are none.",
    sd="Standard deviation over these events (n − 1); missing where there is one alone.", **interval("mean"),
)  # fmt: skip

#: Steps around an event that are looked at, where it is not said how many and sequences are as long.
BEFORE, AFTER = 10, 20
#: So many values around events are looked at together.
MOST_VALUES = 2**22
#: As many units are drawn.
MOST_DRAWN = 6


def aligned_averages(
    rec: Recording,
    signals: Signals,
    *,
    event: Any,
    edge: str | None = None,
    by: Any = None,
    before: int | None = None,
    after: int | None = None,
    groups: Any = None,
    variables: Sequence[str] | None = ("c",),
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Average every unit over all events of a kind, at each step around them, condition by condition.

    The intervals are Student's, with sequences (or groups) as the sample, however many events each has: those of a
    ratio of sums, which of one event for each sequence are the textbook's. Windows of events that follow closely
    overlap. Nothing is tested, so that conditions differ is to be seen, not shown.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        event: the name of a signal, whose onsets (of a binary one) or changes (of any other) are events; "input.2",
            each step at which that input is not 0; a number, that step of every sequence; or an array of true and
            false, one for each step.
        edge: "onset", "offset" or "change" of a signal; None for the onset of a binary one, the change of others. The
            first step of a sequence is none of them.
        by: conditions: the name of a signal with classes, the value of which at the event counts; or labels, numbers or
            text, one for each sequence or for each step. Events where it is NaN or None are left out.
        before: how many steps before the event, 0 or more, below the length of the longest sequence; None for 10, or as
            many as that has.
        after: likewise after it; None for 20.
        groups: as for `probe_units`: drawn as one by the intervals.
        variables: which of h c i f g o; all that were recorded where this is None.
        seed: what the column of that name says; nothing here is random.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, variable, condition and offset, with the columns `COLUMNS`. Only real steps count. Where
        events are of one sequence (or group) alone, there is no interval, and a warning says so.

    Raises:
        InputError: what is wrong with the arguments.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> around = lp.aligned_averages(rec, batch.signals, event="latch", before=1, after=2)
    >>> around.query("unit == 1")[["offset", "mean"]].round(2).values.tolist()
    [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.87], [2.0, 0.78]]
    """
    rec = in_memory(rec, "aligned_averages")
    mask, lengths = rec.mask.cpu().numpy(), rec.lengths.cpu().numpy()
    chosen, problems = choose_variables(rec, variables)
    longest = int(lengths.max(initial=0))
    before = min(BEFORE, longest - 1) if before is None else before
    after = min(AFTER, longest - 1) if after is None else after
    problems += [_range_problem(key, own, longest) for key, own in (("before", before), ("after", after))]
    if problems := [line for line in problems if line]:
        raise InputError(*problems)
    known = named_signals(signals, rec)
    name, at = find_events(event, known, rec, edge)
    conditions = find_conditions(by, known, mask)
    several = drawn_as_one(group_codes(groups, len(mask)))
    clusters = np.arange(len(mask)) if several is None else several
    sequence, step = np.nonzero(at & (conditions.codes >= 0))
    condition = conditions.codes[sequence, step]
    if not len(sequence):
        raise InputError(f"event={name}: no event has a condition")
    offsets = np.arange(-before, after + 1)
    place = step[:, None] + offsets
    real = (place >= 0) & (place < lengths[sequence][:, None])
    counts = [_count(sequence, clusters, real & (condition == k)[:, None]) for k in range(len(conditions.names))]
    _warn(name, conditions.names, [int(own[2].max()) for own in counts], "sequence" if several is None else "group")
    first = (run, task, rec.config.units, seed)
    tables = []
    for block in blocks_of(rec, chosen):
        values = block.values.detach().cpu().double().numpy()
        for k, (events, sequences, _) in enumerate(counts):
            own = condition == k
            where = sequence[own, None], np.clip(place[own], 0, values.shape[1] - 1)
            few = max(1, MOST_VALUES // max(1, where[1].size))
            pieces = [average(values[..., u : u + few][where], real[own], clusters[sequence[own]])
                      for u in range(0, values.shape[-1], few)]  # fmt: skip
            found = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
            told = {"event": name, "by": conditions.by, "condition": conditions.names[k]}
            tables.append(_rows(found, (*first, block.layer, block.direction, block.variable), told, offsets, events,
                                sequences))  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values([*UNIT[:2], "variable", "unit"], kind="stable", ignore_index=True)[list(COLUMNS)]


def _range_problem(key: str, value: Any, longest: int) -> str:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    legal = f"must be a whole number from 0 to {longest - 1}, as the longest sequence has {longest} steps"
    return "" if whole and 0 <= value < longest else f"{key}={value}: {legal}"


def _count(
    sequence: Int[np.ndarray, " event"], clusters: Int[np.ndarray, " sequence"], real: Bool[np.ndarray, "event offset"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return at each offset how many events there are, of how many sequences, and of how many groups."""
    numbers = [[len(np.unique(of[own])) for own in real.T] for of in (sequence, clusters[sequence])]
    return real.sum(0), np.array(numbers[0]), np.array(numbers[1])


def _warn(event: str, names: Sequence[str], most: Sequence[int], what: str) -> None:
    """Log in which conditions there are events of fewer than two sequences, so that there are no intervals."""
    few = [name for name, own in zip(names, most) if own < 2]
    if few == [EVERY]:
        logger.warning("event=%s: events of one %s alone, so there are no intervals", event, what)
    elif few:
        logger.warning("event=%s: events of fewer than two %ss, so no intervals, where the condition is %s",
                       event, what, ", ".join(few))  # fmt: skip


def average(
    values: Float[np.ndarray, "event offset unit"],
    real: Bool[np.ndarray, "event offset"],
    cluster: Int[np.ndarray, " event"],
) -> dict[str, Float[np.ndarray, "unit offset"]]:
    """Return mean, standard deviation and the mean's 95 % interval over events at each offset.

    The interval is that of a ratio of two sums over clusters, linearised, with Student's t: of G clusters with sums
    e of the events' distances from the mean, the variance is G / (G − 1) · Σ e² / n².

    Args:
        values: around each event.
        real: which of them count.
        cluster: of each event, the number of the sequence or group that it belongs to.
    """
    if not len(values):
        nothing = np.full(values.shape[:0:-1], np.nan)
        return dict.fromkeys(("mean", "sd", "ci_low", "ci_high"), nothing)
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    n = real.sum(0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(real[..., None], values, 0.0).sum(0) / np.where(n > 0, n, np.nan)
        off = np.where(real[..., None], values - mean, 0.0)
        sd = np.sqrt((off**2).sum(0) / np.where(n > 1, n - 1, np.nan))
        sums = np.add.reduceat(off[order], starts, axis=0)
        many = np.logical_or.reduceat(real[order], starts, axis=0).sum(0)[:, None]
        error = np.sqrt((sums**2).sum(0) * many / np.where(many > 1, many - 1, np.nan)) / n
        half = student(0.975, np.where(many > 1, many - 1, np.nan)) * error
    return {"mean": mean.T, "sd": sd.T, "ci_low": (mean - half).T, "ci_high": (mean + half).T}


def _rows(
    found: dict[str, np.ndarray], about: tuple[Any, ...], told: dict[str, str], offsets: np.ndarray,
    events: np.ndarray, sequences: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    units, steps = found["mean"].shape
    whole = dict(zip(list(COLUMNS)[: len(about)], about))
    repeated = {"offset": offsets, "n_events": events, "n_sequences": sequences}
    return pd.DataFrame({
        **{key: np.full(units * steps, value) for key, value in whole.items()},
        "unit": np.repeat(np.arange(units), steps),
        **{key: np.full(units * steps, value) for key, value in told.items()},
        **{key: np.tile(values, units) for key, values in repeated.items()},
        **{key: values.ravel() for key, values in found.items()},
    })  # fmt: skip


def most_moved(table: pd.DataFrame, most: int = MOST_DRAWN) -> pd.DataFrame:
    """Return the rows of the units whose mean moves most around the event, against their spread: those to draw."""
    shown = table[table["variable"] == ("c" if "c" in set(table["variable"]) else table["variable"].iloc[0])]
    keys = [shown[name] for name in UNIT]
    moved = (shown["mean"].groupby(keys).max() - shown["mean"].groupby(keys).min()) / shown["sd"].groupby(keys).mean()
    best = moved.fillna(0).nlargest(most).index
    return shown[pd.MultiIndex.from_frame(shown[UNIT]).isin(best)]


def around_the_event(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the units that move most just before the event, at it, and at the end: a small table."""
    shown, last = most_moved(table), table["offset"].max()
    keys = [*UNIT, "by", "condition"]
    wide = shown[keys].drop_duplicates(ignore_index=True)
    for name, offset in (("one_step_before", -1), ("at_the_event", 0), (f"after_{last}_steps", last))[: 2 + (last > 0)]:
        own = shown.loc[shown["offset"] == offset, [*keys, "mean"]].rename(columns={"mean": name})
        wide = wide.merge(own, how="left", on=keys) if len(own) else wide
    return wide
