"""A stream of recordings for tests."""

from dataclasses import replace

import numpy as np

import lstm_probe as lp


class Stream:
    """Shards in memory: cuts of one recording."""

    def __init__(self, rec, signals, sizes):
        self.rec, self.signals = rec, signals
        self.edges = np.cumsum([0, *sizes])
        self.visits = 0

    def shards(self):
        self.visits += 1
        for rows in map(slice, self.edges[:-1], self.edges[1:]):
            lengths = self.rec.lengths[rows]
            time = int(lengths.max())  # a shard need not be as long as the longest
            parts = {
                key: replace(part, inputs=part.inputs[rows, :time], **{v: part[v][rows, :time] for v in part.variables})
                for key, part in self.rec.parts.items()
            }
            own = {name: cut(given, rows, time) for name, given in self.signals.items()}
            yield lp.Recording(parts, lengths, self.rec.config), own


def cut(given, rows, time):
    if isinstance(given, lp.Signal):
        return replace(given, values=given.values[rows, :time])
    return given[rows, :time]
