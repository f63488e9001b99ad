"""The single units of one network over a stream: trained, or with random weights on the same inputs."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import blocks_of
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.streaming.first_look import Known
from lstm_probe.probing.streaming.shards import Shard, Source, numbers
from lstm_probe.probing.streaming.sums import UnitSums, real_rows
from lstm_probe.probing.streaming.survey import UnitSurvey
from lstm_probe.probing.streaming.untrained import Recorded
from lstm_probe.recorder.data import Recording


def seen(
    rec: Recording, view: View, units: UnitSurvey
) -> Iterator[tuple[int, Float[np.ndarray, "sequence time unit"] | None, Int[np.ndarray, "unit step"] | None]]:
    """Yield each block's number, its standardised units, and the bins of its real steps, as far as needed."""
    for number, block in enumerate(blocks_of(rec, units.variables)):
        array, x, places = numbers(block.values), None, None
        if len(view.continuous):
            x = units.scale(view.lag, number)(array[:, view.lag :], view.mask)
        if len(view.classes):
            places = real_rows(array, view, units.bins[number])
        yield number, x, places


def unit_sums(source: Source, known: Known, units: UnitSurvey, recorded: Recorded) -> list[UnitSums]:
    """Return the sums of one network's units by folds, at every lag: enough for scores without intervals."""
    split, views = known.study.split, known.empty_views()
    sizes = [block.values.shape[-1] for block in known.study.blocks]
    sums = [UnitSums(split.folds, sizes, view) for view in views]

    def add(shard: Shard) -> None:
        rec, checked = recorded(shard), known.checked(shard)
        for own, view in zip(sums, views):
            if shard.mask.shape[1] > view.lag:
                here = known.view(shard, checked, view.lag, shard.lengths)
                for b, x, places in seen(rec, here, units):
                    own.add(b, x, places, here, split.fold[shard.rows])

    source.visit(add)
    return sums


def unit_effects(
    source: Source, known: Known, outcomes: Sequence[Outcomes], units: UnitSurvey, recorded: Recorded
) -> list[list[Float[np.ndarray, "unit signal"]]]:
    """Return the effects of one network's units, by lag and block."""
    folds, every = Split(np.arange(known.study.split.folds)), unit_sums(source, known, units, recorded)
    return [
        [own.sums(b, what, folds).effects for b in range(len(known.study.blocks))] for own, what in zip(every, outcomes)
    ]
