"""Learning: at which update of a training each unit acquired its signal, and which signals came before others.

The network is probed as it was at each checkpoint. What a unit tracks is decided at the last one, by all that
`probe_units` asks; along the way its effect is compared with what an effect has to reach.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lstm_probe.core.columns import interval, unit_table
from lstm_probe.core.console import only_errors
from lstm_probe.core.errors import InputError
from lstm_probe.core.joined import joined, parted
from lstm_probe.core.order import UNIT
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.network.training import evaluate
from lstm_probe.probing.analyses.units import probe_units
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import as_many_threads_as_torch, assemble, by_labels, make_study, unit_columns
from lstm_probe.probing.inference.evaluate import Scores, evaluate_units
from lstm_probe.probing.inference.untrained import Untrained
from lstm_probe.recorder import Recording, record
from lstm_probe.recorder.calling import arguments
from lstm_probe.recorder.leaving import undisturbed

_UPDATE = "How many updates of the weights were done; 0 is the untrained network."
COLUMNS = unit_table(
    "signal", "kind", "role", "lag", "metric",
    update=_UPDATE,
    effect="Effect of the unit at that update, on held-out sequences.", **interval("effect"),
    bar="Effect that counts: min_effect, or min_effect_class; more where the present input or the step reach as far.",
    tracks="Whether the unit tracks the signal at the last checkpoint, by all that probe_units asks.",
    task_score="Lowest score of any target at that update, 0 to 1, on the same sequences.",
    after="Signals, joined by commas (as in CSV), that were surely told by some unit before any unit told this one.",
)  # fmt: skip
ACQUIRED_COLUMNS = unit_table(
    "signal", "kind", "role", "lag", "metric", bar=COLUMNS["bar"], tracks=COLUMNS["tracks"],
    acquired="First update from which on the effect is at least `bar` at every checkpoint; missing where it is not at "
    "the last.",
    not_yet="The checkpoint before that, at which it was not; missing where there is none before.",
    effect="Effect at the last checkpoint.",
    task_score="Lowest score of any target when it was acquired.",
    after=COLUMNS["after"],
)  # fmt: skip
_PAIR = ["layer", "direction", "variable", "unit", "signal", "lag"]
#: Of one block; signals are compared within it.
_SIGNAL = ["layer", "direction", "variable", "signal", "lag"]


def learning_curves(
    checkpoints: Mapping[int, nn.Module],
    batch: Batch,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = ("c",),
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    bootstrap: int = 1000,
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    alpha: float = 0.05,
    min_effect: float = 0.25,
    min_effect_class: float = 0.46,
    margin: float = 0.2,
    least_margin: float = 0.01,
    least_swap: float = 0.02,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score every unit against every signal at each checkpoint of a training.

    Args:
        checkpoints: by how many updates were done, the network as it was then: `run.checkpoints` of a run, or copies
            made in your own loop, such as `kept[step] = copy.deepcopy(model)`.
        batch: what all of them are measured on, with its signals; no sequences that were trained on.
        split: as for `probe_units`, and so all arguments that are not named here.
        variables: which of h c i f g o; all six where this is None.
        bootstrap: samples of sequences for the 95 % intervals at every checkpoint, 1 or more.

    Returns:
        One row for each unit, variable, signal, lag and checkpoint, in the order of updates, with the columns
        `COLUMNS`. `acquired` says of them from when on each unit told each signal.

    Raises:
        InputError: no checkpoints, not of one architecture, or what is wrong with the arguments.
    """
    check(checkpoints)
    signals, updates = batch.signals, sorted(checkpoints)
    shared: dict[str, Any] = {"groups": groups, "null": null, "bootstrap": bootstrap}
    last = recorded(checkpoints[updates[-1]], batch, variables)
    final = probe_units(last, signals, split=split, lags=lags, folds=folds, permutations=permutations, seed=seed,
                        untrained=untrained, init=init, forget_bias=forget_bias, window=0, alpha=alpha,
                        min_effect=min_effect, min_effect_class=min_effect_class, margin=margin,
                        least_margin=least_margin, least_swap=least_swap, **shared)  # fmt: skip
    baseline = final[["input_only", "time_only"]].max(axis=1)
    beyond = baseline + np.maximum(margin * (1 - baseline), least_margin)
    bar = np.fmax(np.where(final["kind"].isin(NUMBERS), min_effect, min_effect_class), beyond)
    tables = []
    with only_errors("lstm_probe.probing"):  # said of the last one
        for update in updates:
            rec = recorded(checkpoints[update], batch, variables)
            table = score(rec, signals, split, lags, folds, seed, shared, {"run": run, "task": task})
            own: dict[str, Any] = {"update": update, "bar": bar, "tracks": final["tracks"]}
            tables.append(table.assign(**own, task_score=lowest_score(checkpoints[update], batch)))
    whole = pd.concat(tables, ignore_index=True)
    whole["place"] = np.tile(np.arange(len(final)), len(updates))
    whole = whole.sort_values(["place", "update"], kind="stable", ignore_index=True)
    return whole.assign(after=told_before(whole))[list(COLUMNS)]


def check(checkpoints: Mapping[int, nn.Module]) -> None:
    """Raise an InputError unless these are networks of one architecture, by numbers of updates."""
    if not isinstance(checkpoints, Mapping) or not checkpoints:
        raise InputError("checkpoints: there are none; they are networks by how many updates were done, as in "
                         "{0: untrained, 500: trained}")  # fmt: skip
    problems = [f"checkpoints: {update!r}: must be a whole number of updates from 0" for update in checkpoints
                if isinstance(update, bool) or not isinstance(update, int | np.integer) or update < 0]  # fmt: skip
    problems += [f"checkpoints[{update!r}]: a {type(one).__name__}; must be an nn.Module"
                 for update, one in checkpoints.items() if not isinstance(one, nn.Module)]  # fmt: skip
    if not problems:
        shapes = {update: {name: tuple(v.shape) for name, v in one.state_dict().items()}
                  for update, one in checkpoints.items()}  # fmt: skip
        first = next(iter(shapes))
        problems = [f"checkpoints[{update}]: not of the architecture of checkpoints[{first}]"
                    for update, own in shapes.items() if own != shapes[first]]  # fmt: skip
    if problems:
        raise InputError(*problems)


def recorded(model: nn.Module, batch: Batch, variables: Sequence[str] | None) -> Recording:
    """Return what a network does on a batch."""
    return record(model, arguments(model, batch), lengths=batch.lengths, variables=variables)


def lowest_score(model: nn.Module, batch: Batch) -> float:
    """Return the lowest score of any target, with the network in evaluation mode; NaN where there is no target."""
    with undisturbed(model):
        return min(evaluate(model, batch).values()) if batch.target_specs else np.nan


def score(
    rec: Recording, signals: Any, split: Split | None, lags: Sequence[int], folds: int, seed: int,
    settings: Mapping[str, Any], first: Mapping[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """Return every unit's effect on every signal with its interval; no tests."""
    study = make_study(rec, signals, split, lags, None, folds, seed, **settings)

    def measure(part: Any) -> dict[str, np.ndarray]:
        def scores(lag: int, number: int) -> Scores:
            view, block = part.views[lag], part.blocks[number]
            return evaluate_units(view.features(block.values, block.name), view, part.weights)

        return unit_columns(part.views, len(part.blocks), scores, [{}] * len(part.views), {})

    with as_many_threads_as_torch():
        measured = by_labels(study, measure)
    sizes = [block.values.shape[-1] for block in study.blocks]
    about = {**first, "units": rec.config.units, "seed": seed}
    return assemble(study, {key: measured[key] for key in ("effect", "ci_low", "ci_high")}, sizes, about)


def since(curves: pd.DataFrame, effect: str = "effect") -> pd.Series:
    """Return of each row whether the effect is at least the bar there, and at all later checkpoints."""
    above = curves["effect"] >= curves["bar"]
    backward = above[::-1].groupby([curves[name][::-1] for name in _PAIR], sort=False).cummin()[::-1]
    return backward & (curves[effect] >= curves["bar"])


def told_before(curves: pd.DataFrame) -> list[str]:
    """Return of each row the signals that were surely told before its own, joined by commas.

    There has to be a checkpoint at which a unit's interval for the one lies above its bar, where that unit tracks it at
    the end and its effect never falls below again; while there and at all earlier ones the intervals of all units for
    the other lie below. Both are of the same layer, direction, variable and lag, and tracked by some unit at the end.
    """
    sure = (since(curves, "ci_low") & curves["tracks"]).groupby([curves[k] for k in (*_SIGNAL, "update")]).any()
    none = (curves["ci_high"] < curves["bar"]).groupby([curves[k] for k in (*_SIGNAL, "update")]).all()
    never = none.groupby(_SIGNAL).cummin()  # in the order of updates
    tracked = curves["tracks"].groupby([curves[k] for k in _SIGNAL]).any()
    order = list(dict.fromkeys(curves["signal"]))
    found: dict[tuple[Any, ...], str] = {}
    for key in tracked.index[tracked]:
        *block, signal, lag = key
        others = [one for one in order if one != signal and tracked.get((*block, one, lag), False)]
        before = [one for one in others if (sure[(*block, one, lag)] & never[key]).any()]
        found[key] = joined(before, ", ")
    return [found.get(key, "") for key in curves[_SIGNAL].itertuples(index=False, name=None)]


def acquired(curves: pd.DataFrame) -> pd.DataFrame:
    """Say from which update on each unit told each signal.

    Args:
        curves: from `learning_curves`.

    Returns:
        One row for each unit, variable, signal and lag, with the columns `ACQUIRED_COLUMNS`. When exactly it was lies
        between `not_yet` and `acquired`, as there is no checkpoint between them.
    """
    ordered = curves.sort_values("update", kind="stable")
    above = since(ordered)
    rows = []
    for _, own in ordered.groupby(_PAIR, sort=False):
        held = above[own.index].to_numpy()
        first = int(held.argmax()) if held.any() else len(held)
        at, before = own.iloc[first : first + 1], own.iloc[max(first - 1, 0) : first]
        end = own.iloc[-1]
        rows.append({
            **end, "acquired": at["update"].max(), "not_yet": before["update"].max() if len(at) else np.nan,
            "task_score": at["task_score"].max(),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(ACQUIRED_COLUMNS))


def by_signal(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the first unit to acquire each signal that is tracked at the end, in order: for page and terminal."""
    tracked = acquired(curves[curves["tracks"].astype(bool)]).dropna(subset="acquired")
    ordered = tracked.sort_values(["acquired", "effect"], ascending=[True, False], kind="stable")
    ordered["units_tracking"] = ordered.groupby(_SIGNAL)["unit"].transform("size")
    kept = [*UNIT, "signal", "acquired", "not_yet", "task_score", "effect", "units_tracking", "after"]
    return ordered.drop_duplicates(_SIGNAL)[kept]


def learning_sentences(own: pd.DataFrame, about: Any) -> Iterator[str]:
    """Say from which update on a unit told each signal that it tracks, and what was told before.

    Args:
        own: the unit's rows of `learning`.
        about: the unit.
    """
    if own.empty:  # as of most runs, for every unit
        return
    told = [(one.signal, one.lag) for one in (about.unit.best, *about.unit.others) if one is not None]
    table = acquired(about.of_variable(own[own["tracks"].astype(bool)]))
    known = table[table["acquired"].notna()].set_index(["signal", "lag"])
    for signal, lag in dict.fromkeys(told):
        if (signal, lag) not in known.index:
            continue
        row = known.loc[(signal, lag)]
        if np.isnan(row["not_yet"]):
            when = "before training already" if row["acquired"] == 0 else (
                f"at the first checkpoint already (update {row['acquired']:.0f})")  # fmt: skip
        else:
            when = f"from update {row['acquired']:.0f} on, and not at {row['not_yet']:.0f}"
        before = parted(row["after"])
        names = " and ".join([", ".join(before[:-1]), before[-1]] if len(before) > 1 else before)
        after = f", after {names}, which some unit told when none told {signal}" if before else ""
        yield f"Along training it told {signal} {when}{after}."
