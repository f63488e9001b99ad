"""The same probes for recordings that are larger than memory, shard by shard."""

from lstm_probe.probing.streaming.shards import RecordingStream

__all__ = ["RecordingStream"]
