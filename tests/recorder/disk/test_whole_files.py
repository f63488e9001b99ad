"""A reader of a recording that is being written meets whole files only."""

import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import lstm_probe as lp
from lstm_probe.core.files import write_whole
from lstm_probe.recorder.disk import writing


def test_a_file_is_written_beside_its_place_and_renamed(tmp_path):
    place, kept = tmp_path / "file", tmp_path / "kept"
    place.write_bytes(b"old")
    os.link(place, kept)  # another name of what stands there: bytes written into it would show here
    seen = []

    def blocks():
        for block in (b"n" * 100_000, b"ew"):  # more than a buffer holds
            yield block
            seen.append(place.read_bytes())

    write_whole(place, blocks())
    assert seen == [b"old", b"old"] and kept.read_bytes() == b"old"
    assert place.read_bytes() == b"n" * 100_000 + b"ew"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "kept"]


def test_a_file_that_was_not_finished_leaves_the_old_one(tmp_path):
    place = tmp_path / "file"
    place.write_bytes(b"old")

    def blocks():
        yield b"n" * 100_000
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_whole(place, blocks())
    assert place.read_bytes() == b"old" and list(tmp_path.iterdir()) == [place]


def test_every_shard_that_can_be_seen_is_whole(tmp_path, monkeypatch):
    torch.manual_seed(0)
    net, given, seen = nn.LSTM(7, 5, batch_first=True), [torch.randn(40, 30, 7) for _ in range(3)], []
    folder, raw = tmp_path / "r", writing.raw

    def looked(values):
        seen.append({file.name: sorted(load_file(file)) for file in folder.glob("shard-*.safetensors")})
        return raw(values)

    monkeypatch.setattr(writing, "raw", looked)
    lp.record(net, given, to=folder)
    names = sorted(load_file(folder / "shard-00000.safetensors"))
    assert len(names) == 8 and {len(now) for now in seen} == {0, 1, 2}
    assert all(tensors == names for now in seen for tensors in now.values())


@pytest.mark.parametrize("size", ["other", "same"])
def test_a_damaged_shard_is_replaced_and_not_written_into(tmp_path, size):
    torch.manual_seed(0)
    net, given = nn.LSTM(7, 5, batch_first=True), [torch.randn(4, 6, 7) for _ in range(3)]
    lp.record(net, given, to=tmp_path / "r")
    shard, kept = tmp_path / "r" / "shard-00001.safetensors", tmp_path / "kept"
    good = shard.read_bytes()
    damaged = b"damaged" if size == "other" else good[:-1] + bytes([good[-1] ^ 1])
    shard.write_bytes(damaged)
    os.link(shard, kept)
    lp.record(net, given, to=tmp_path / "r")
    assert shard.read_bytes() == good and kept.read_bytes() == damaged
    lp.open_recording(tmp_path / "r").verify()
