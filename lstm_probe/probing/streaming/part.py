"""Some sequences of a stream, in memory: enough to stand beside untrained networks."""

from dataclasses import replace

import numpy as np
import torch

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study
from lstm_probe.probing.inference.untrained import random_sequences
from lstm_probe.probing.streaming.first_look import Known
from lstm_probe.probing.streaming.shards import Shard, Source
from lstm_probe.recorder.assemble import under_each_other
from lstm_probe.recorder.data import Recording


def part_of_stream(source: Source, known: Known, seed: int) -> Study:
    """Return the study of some sequences, drawn from all shards: see `inference.untrained.random_part`."""
    study = known.study
    chosen = random_sequences(study.lengths, seed)
    recordings: list[Recording] = []
    signals: list[list[CheckedSignal]] = []

    def take(shard: Shard) -> None:
        here = chosen[(chosen >= shard.rows.start) & (chosen < shard.rows.stop)] - shard.first
        if len(here):
            recordings.append(shard.rec.select(study.variables).rows(torch.from_numpy(here)))
            signals.append([one.rows(here) for one in known.checked(shard)])

    source.visit(take)
    time = max(rec.inputs.shape[1] for rec in recordings)
    joined = [
        replace(own[0], values=np.concatenate([np.pad(o.values, ((0, 0), (0, time - o.values.shape[1]))) for o in own]))
        for own in zip(*signals)
    ]
    folds, fold = np.unique(study.split.fold[chosen], return_inverse=True)
    return replace(
        study,
        rec=under_each_other(recordings),
        signals=joined,
        split=Split(fold) if len(folds) > 1 else Split.make(len(chosen), 2, seed),
        lengths=study.lengths[chosen],
    )
