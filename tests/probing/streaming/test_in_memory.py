"""Analyses that need a recording in memory say so in their type, and in one line to whom types are not checked."""

import inspect

import pytest
from jaxtyping import config

from lstm_probe.core.errors import InputError
from lstm_probe.probing.analyses.aligned import aligned_averages
from lstm_probe.probing.analyses.coding import signal_codes
from lstm_probe.probing.analyses.confounds import partial_effects, signal_correlations
from lstm_probe.probing.analyses.cross_time import cross_time
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.analyses.description import description_length
from lstm_probe.probing.analyses.memory import memory_curves
from lstm_probe.probing.analyses.populations import probe_populations
from lstm_probe.probing.analyses.power import power
from lstm_probe.probing.analyses.sparse import sparse_paths
from lstm_probe.probing.analyses.tuning import tuning_curves
from lstm_probe.probing.analyses.units import probe_units
from lstm_probe.probing.streaming import RecordingStream
from lstm_probe.recorder.data import Recording

WHOLE = (
    aligned_averages, cross_time, curved_units, description_length, partial_effects, power, signal_codes,
    signal_correlations, sparse_paths, tuning_curves,
)  # fmt: skip


class Stream:
    """What can be read shard by shard only."""

    def shards(self):
        yield from ()


@pytest.mark.parametrize("analysis", WHOLE, ids=lambda analysis: analysis.__name__)
def test_what_needs_memory_says_so(analysis, monkeypatch):
    parameters = inspect.signature(analysis).parameters
    assert parameters["rec"].annotation is Recording
    needed = {name: None for name, own in parameters.items() if own.default is own.empty and name != "rec"}
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=f"a Stream; {analysis.__name__} needs a Recording in memory"):
        analysis(Stream(), **needed)


@pytest.mark.parametrize("analysis", [probe_units, probe_populations, memory_curves])
def test_what_takes_streams_says_so(analysis, monkeypatch):
    assert inspect.signature(analysis).parameters["rec"].annotation == Recording | RecordingStream
    with pytest.raises(InputError, match="recording: there are no shards"):
        analysis(Stream())
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match="recording: a list; it must be a Recording, a StoredRecording, or have"):
        analysis([])
