"""What networks with random weights show on a stream's inputs, recorded shard by shard."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.study import untrained_levels
from lstm_probe.probing.inference.untrained import Networks
from lstm_probe.probing.streaming.bins import SAMPLE
from lstm_probe.probing.streaming.first_look import Known
from lstm_probe.probing.streaming.shards import Shard, Source
from lstm_probe.probing.streaming.survey import UnitSurvey
from lstm_probe.recorder.data import Recording

logger = logging.getLogger(__name__)

#: What one untrained network records on a shard's inputs.
Recorded = Callable[[Shard], Recording]


def stream_untrained(
    source: Source,
    known: Known,
    networks: Networks,
    most: int,
    seed: int,
    find: Callable[[UnitSurvey, Recorded], Sequence[Sequence[Float[np.ndarray, "_ signal"]]]],
) -> Float[np.ndarray, "level lag block signal"]:
    """Return the levels (see `untrained_levels`) of networks with random weights.

    Args:
        source: the stream.
        known: what the first look found.
        networks: the untrained ones.
        most: so many of them at most.
        seed: of their sample.
        find: takes a network's scales and sample, and what it records; returns effects by lag and block.
    """
    study, count = known.study, min(most, networks.count)
    found: list[list[list[np.ndarray]]] = [[[] for _ in study.blocks] for _ in study.lags]
    # Scales and bins need not be exact: a part of the steps will do.
    every = max(1, int(study.lengths.sum()) // (4 * SAMPLE))
    for number in range(count):
        logger.info("probing shard by shard: untrained network %d of %d", number + 1, count)

        def recorded(shard: Shard, number: int = number) -> Recording:
            return networks.one(shard.rec, study.variables, number)

        units = UnitSurvey(study.variables, study.lags, derive_seed(seed, "untrained", number))
        source.visit(partial(take_in, units, recorded), every=every)
        for blocks, effects in zip(found, find(units, recorded)):
            for own, here in zip(blocks, effects):
                own.append(here)
    return untrained_levels(found)


def take_in(units: UnitSurvey, recorded: Recorded, shard: Shard) -> None:
    """Look at what a network records of a shard."""
    units.add(recorded(shard), shard)
