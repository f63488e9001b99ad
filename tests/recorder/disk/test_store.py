"""Recordings on disk, against recordings in memory."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import lstm_probe as lp
from lstm_probe.core.vocabulary import VARIABLES
from tests.recorder.disk.made import DEEP, batches, lstm, tensors


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("variables", [VARIABLES, ("c", "o")])
@pytest.mark.parametrize("options", [{}, DEEP, {"dtype": torch.bfloat16}], ids=str)
def test_what_is_stored_equals_what_memory_holds(tmp_path, options, variables, split):
    net = lstm(**options)
    dtype, shard_bytes = net.weight_ih_l0.dtype, (150_000 if options == DEEP else 35_000) if split else None
    given = [b.map(lambda v: v.to(dtype) if v.is_floating_point() else v) for b in batches(4, 20)]
    rec = lp.record(net, torch.cat([b.inputs for b in given]), variables=variables)
    stored = lp.record(net, given, to=tmp_path / "r", variables=variables, shard_bytes=shard_bytes)
    files = list((tmp_path / "r").glob("*.safetensors"))
    assert len(files) > 4 if split else len(files) == 4
    assert all(file.stat().st_size <= (shard_bytes or 10**9) for file in files)
    assert len(stored) == len(rec) and stored.config == rec.config
    assert torch.equal(stored.lengths, rec.lengths)
    assert stored.variables == tuple(v for v in VARIABLES if v in variables)
    close = {"rtol": 0, "atol": 1e-6 if dtype == torch.float32 else 0.02}  # since the batches' sizes differ
    keys = [slice(None), slice(3, 70, 7), slice(15, 28), slice(9, 9), 7, -1, (..., 0)]
    keys += [(slice(14, 43), slice(2, 9), 1), (39, 3)]
    for part, own in zip(rec, stored, strict=True):
        assert (own.layer, own.direction) == (part.layer, part.direction)
        for name in ("inputs", *variables):
            values, want = getattr(own, name), getattr(part, name)
            assert values.shape == tuple(want.shape) and values.dtype == want.dtype
            for key in keys:
                torch.testing.assert_close(values[key], want[key], **close)
    first = 0
    for shard, signals in stored.shards():
        rows = slice(first, first + len(shard))
        for part in shard:
            for name in ("inputs", *variables):
                want = getattr(rec[part.layer, part.direction], name)
                torch.testing.assert_close(getattr(part, name), want[rows], **close)
        for name, of_signal in signals.items():
            original = given[0].signals[name]
            assert (of_signal.kind, of_signal.role) == (original.kind, original.role)
            assert torch.equal(of_signal.values, stored.signals[name][rows])
        first += len(shard)
    every = torch.cat([b.signals["parity"].values for b in given])
    assert torch.equal(stored.signals["parity"][:], every)
    assert torch.equal(stored.signals["parity"][3, 4:9], every[3, 4:9])
    stored.verify()


def test_each_batch_is_recorded_as_record_would_bit_for_bit(tmp_path):
    net, given = lstm(), tensors((3, 8), (2, 12), (4, 5))
    lengths = [[8, 3, 1], [12, 10], None]
    stored = lp.record(net, given, lengths=[[8, 3, 1], torch.tensor([12, 10]), [5] * 4], to=tmp_path / "r")
    assert stored.c.shape == (9, 12, 5)
    for (shard, _), x, own in zip(stored.shards(), given, lengths, strict=True):
        want = lp.record(net, x, lengths=own)
        assert all(torch.equal(getattr(shard, v), getattr(want, v)) for v in VARIABLES)
        assert torch.equal(shard.lengths, want.lengths)
    assert torch.equal(stored.c[1:6, :8][:2], lp.record(net, given[0]).c[1:])
    assert not stored.c[0, 8:].any()  # steps that this shard does not have


def test_a_shard_is_a_plain_safetensors_file_that_says_what_it_holds(tmp_path):
    from safetensors import safe_open

    net = lstm(num_layers=2)
    lp.record(net, batches(2), to=tmp_path / "r", variables=("c",), layer="")
    file = tmp_path / "r" / "shard-00001.safetensors"
    want = lp.record(net, batches(2)[1].inputs, variables=("c",))
    assert torch.equal(load_file(file)["layer1.forward.c"], want[1].c)
    assert torch.equal(load_file(file)["layer1.inputs"], want[1].inputs)
    with safe_open(file, "pt") as held:
        told = held.metadata()
    assert told["version"] == "1" and told["first"] == "6" and json.loads(told["config"])["units"] == 5
    assert json.loads(told["dims"])["layer1.forward.c"] == ["sequence", "time", "unit"]
    assert json.loads(told["signals"])["parity"]["kind"] == "binary"


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(11, 7), nn.LSTM(7, 5, batch_first=True)

    def forward(self, tokens, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(tokens), lengths, True, False)
        return self.rnn(packed)


def test_batches_of_every_kind_and_signals_as_plain_arrays(tmp_path):
    torch.manual_seed(0)
    net, rng = Tagger(), np.random.default_rng(0)
    calls = [(torch.randint(11, (4, 9)), torch.tensor([8, 2, 5, 1])) for _ in range(3)]
    depth = rng.integers(0, 3, (4, 9))  # one step more than the module's packed sequences have
    given = [
        SimpleNamespace(inputs=calls[0], signals={"depth": depth}),
        SimpleNamespace(inputs=list(calls[1]), signals={"depth": depth}),
        SimpleNamespace(inputs=dict(zip(("tokens", "lengths"), calls[2])), signals={"depth": depth}),
    ]
    stored = lp.record(net, iter(given), to=tmp_path / "r")
    want = torch.cat([lp.record(net, call).c for call in calls])
    assert torch.equal(stored.c[:], want) and torch.equal(stored.lengths, torch.tensor([8, 2, 5, 1] * 3))
    _, signals = next(stored.shards())
    assert torch.equal(signals["depth"], torch.as_tensor(depth[:, :8]))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*calls[0]), batch_size=2)
    loaded = lp.record(net, loader, to=tmp_path / "s")
    torch.testing.assert_close(loaded.c[2:, :5], lp.record(net, calls[0]).c[2:, :5], rtol=0, atol=1e-6)
    alone = lp.record(lstm(), tensors((3, 4))[0], lengths=[4, 2, 1], to=tmp_path / "t")  # a tensor is one batch
    assert len(alone) == 3 and alone.lengths.tolist() == [4, 2, 1]


MEMORY = """
import resource, sys
import torch
import lstm_probe as lp

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def stream():
    for k in range(40):
        yield torch.full((128, 50, 8), k / 40)

net = torch.nn.LSTM(8, 64, batch_first=True)
lp.record(net, torch.zeros(128, 50, 8), to=sys.argv[1] + "/small")  # all that is loaded when first used
before = peak()
stored = lp.record(net, stream(), to=sys.argv[1] + "/big")
for rec, _ in stored.shards():
    rec.c.sum()
    del rec
stored.verify()
lp.record(net, stream(), to=sys.argv[1] + "/big")
stored.c[:, :, 3].sum()
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_stays_near_one_batch(tmp_path):
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    one = 128 * 50 * (6 * 64 + 8) * 4 / 2**20  # 9.6 MB; all of it is 383 MB
    assert float(done.stdout) < 4 * one
    shutil.rmtree(tmp_path / "big")
