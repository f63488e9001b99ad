"""Recordings on disk, against recordings in memory; what lies there after a kill, a full disk and damage."""

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.disk import writing as streaming

DEEP = {"num_layers": 2, "bidirectional": True, "proj_size": 3}


def lstm(seed=0, **options):
    torch.manual_seed(seed)
    return nn.LSTM(7, 5, batch_first=True, **options)


def batches(n=4, sequences=6):
    task = lp.get_task("tracking")
    return [task.sample(sequences, seed=k) for k in range(n)]


def tensors(*shapes):
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, 7, generator=rng) for shape in shapes]


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


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


def test_an_interrupted_recording_goes_on_where_it_was(tmp_path, monkeypatch):
    net, given = lstm(), batches(5)
    lp.record(net, given, to=tmp_path / "whole", shard_bytes=30_000)
    made, recorded = [], streaming.Writer._record

    def stops(count):
        for k, batch in enumerate(given):
            if k == count:
                raise KeyboardInterrupt
            yield batch

    def counted(self, *args):
        made.append(self.batches)
        return recorded(self, *args)

    monkeypatch.setattr(streaming.Writer, "_record", counted)
    for count in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            lp.record(net, stops(count), to=tmp_path / "r", shard_bytes=30_000)
        with pytest.raises(InputError, match="unfinished"):
            lp.open_recording(tmp_path / "r")
    (tmp_path / "r" / "shard-00001.safetensors").unlink()  # of batch 0
    lp.record(net, stops(9), to=tmp_path / "r", shard_bytes=30_000)
    assert made == [0, 1, 2, 0, 3, 4]
    lp.record(net, given, to=tmp_path / "r", shard_bytes=30_000)
    assert made == [0, 1, 2, 0, 3, 4] and content(tmp_path / "r") == content(tmp_path / "whole")


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import lstm_probe as lp
from tests.recorder.disk.test_store import batches, content, lstm

root, net, given = Path(sys.argv[1]), lstm(), batches(2)
lp.record(net, given, to=root / "whole", shard_bytes=30_000)
count = 0

def deadly(function):
    def call(*args):
        global count
        for _ in range(2):  # before and after
            count -= 1
            if not count:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args) if _ == 0 else result
        return result
    return call

os.fsync, Path.replace = deadly(lambda file: None), deadly(Path.replace)
point = survived = 0
while not survived:
    point += 1
    folder = root / str(point)
    child = os.fork()
    if not child:
        count = point
        lp.record(net, iter(given), to=folder, shard_bytes=30_000)
        os._exit(0)
    survived = os.waitpid(child, 0)[1] == 0
    count = 0
    lp.record(net, iter(given), to=folder, shard_bytes=30_000)
    assert content(folder) == content(root / "whole"), point
print(point)
"""


@pytest.mark.slow
def test_killed_at_any_point_and_resumed_it_is_the_same_bytes(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


SLOW = """
import sys, time
import lstm_probe as lp
from tests.recorder.disk.test_store import batches, lstm

def slow():
    for batch in batches(20):
        time.sleep(0.2)
        yield batch

lp.record(lstm(), slow(), to=sys.argv[1])
"""


def test_killed_from_outside_and_resumed_it_is_the_same_bytes(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "r")])
    while not (tmp_path / "r" / "shard-00003.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(InputError, match="another process is recording into it"):
        lp.record(lstm(), batches(20), to=tmp_path / "r")
    process.send_signal(signal.SIGKILL)
    process.wait()
    lp.record(lstm(), iter(batches(20)), to=tmp_path / "r")
    lp.record(lstm(), batches(20), to=tmp_path / "whole")
    assert content(tmp_path / "r") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("problem", "change"),
    [
        ("other weights", {"net": lambda: lstm(seed=1)}),
        ("lstm: ", {"net": lambda: lstm(bias=False)}),
        ("variables: h c i f g o there, h c here", {"variables": "ch"}),
        ("shard_bytes: None there, 90000 here", {"shard_bytes": 90_000}),
        ("batch 1 is not the one", {"given": lambda: batches(2, sequences=5)}),
        ("batch 0 is not the one", {"given": lambda: [b.inputs for b in batches(2)]}),
        ("more batches are recorded there than the 1 given", {"given": lambda: batches(1)}),
    ],
)
def test_a_resume_that_does_not_fit_is_refused_and_changes_nothing(tmp_path, problem, change):
    lp.record(lstm(), batches(1) + batches(2)[1:], to=tmp_path / "r")
    before = content(tmp_path / "r")
    net, given = change.pop("net", lstm)(), change.pop("given", lambda: batches(2))()
    if problem.startswith("batch 1"):
        given[0] = batches(1)[0]
    with pytest.raises(InputError, match=problem):
        lp.record(net, given, to=tmp_path / "r", **change)
    assert content(tmp_path / "r") == before


def test_more_batches_can_be_added_to_a_finished_recording(tmp_path):
    lp.record(lstm(), batches(2), to=tmp_path / "r")
    lp.record(lstm(), batches(4), to=tmp_path / "r")
    lp.record(lstm(), batches(4), to=tmp_path / "whole")
    assert content(tmp_path / "r") == content(tmp_path / "whole")


def test_how_much_disk_it_takes_is_said_first(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="lstm_probe")
    net, given, seen = lstm(), tensors(*[(64, 50)] * 3), []
    monkeypatch.setattr(streaming.Writer, "_write", lambda *_: seen.append(list(caplog.messages)))
    with pytest.raises(InputError):  # nothing was written
        lp.record(net, given, to=tmp_path / "r")
    values = 3 * 64 * (50 * (7 + 6 * 5) * 4 + 8)
    assert seen[0] and f"about {values / 1e6:.1f} MB for 3 batches" in seen[0][0]
    monkeypatch.undo()
    lp.record(net, iter(given), to=tmp_path / "s")
    assert "for each batch of 64 sequences; how many there are is not known" in caplog.messages[-1]
    lp.record(net, iter(given), to=tmp_path / "t", sequences=192)
    assert f"about {values / 1e6:.1f} MB for 192 sequences" in caplog.messages[-1]
    used = shutil._ntuple_diskusage(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: used)
    with pytest.raises(OSError, match=r"needs about 1\.4 MB for 3 batches, but the disk has 1\.0 MB free"):
        lp.record(net, given, to=tmp_path / "u")
    assert not (tmp_path / "u").exists()
    (tmp_path / "t" / "shard-00001.safetensors").unlink()
    lp.record(net, given, to=tmp_path / "t")  # for what is missing there is room
    lp.open_recording(tmp_path / "t").verify()


def test_a_full_disk_leaves_no_half_shard(tmp_path):
    net, given = lstm(), tensors((4, 9), (400, 50), (4, 9))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            lp.record(net, given, to=tmp_path / "r")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(content(tmp_path / "r")) == ["index.json", "shard-00000.safetensors"]
    assert torch.equal(lp.record(net, given, to=tmp_path / "r").c[4:404], lp.record(net, given[1]).c)


@pytest.fixture
def stored(tmp_path):
    """Three shards, of which the second is to be damaged."""
    lp.record(lstm(), batches(3), to=tmp_path / "r", variables=("c",))
    return tmp_path / "r"


def read_all(folder):
    store = lp.open_recording(folder)
    values = [store.c[:], store.inputs[:], store.lengths, *(own[:] for own in store.signals.values())]
    for rec, signals in store.shards():
        values += [rec.c, *(own.values for own in signals.values())]
    return values


def test_a_missing_or_damaged_shard_is_named(stored):
    file = stored / "shard-00001.safetensors"
    good = file.read_bytes()
    places = (0, 7, 50, 2000, len(good) // 2, len(good) - 1)
    flips = [good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :] for k in places]
    for bad in (*flips, b"", good[:5], good[:-1], good + b"x", b"\xff" * len(good), b"\x80\x04."):
        file.write_bytes(bad)
        for use in (lambda: read_all(stored), lambda: lp.open_recording(stored).verify()):
            with pytest.raises(InputError, match=r"shard-00001\.safetensors: damaged .*same lp\.record\("):
                use()
        if len(bad) == len(good):
            assert torch.equal(lp.open_recording(stored).c[:6], lp.record(lstm(), batches(1)[0].inputs).c)
    file.unlink()
    for use in (lambda: lp.open_recording(stored), lambda: read_all(stored)):
        with pytest.raises(InputError, match=r"shard-00001\.safetensors: missing"):
            use()
    lp.record(lstm(), batches(3), to=stored, variables=("c",))
    assert file.read_bytes() == good


def test_a_shard_that_goes_or_changes_after_the_opening_is_named(stored):
    store, file = lp.open_recording(stored), stored / "shard-00001.safetensors"
    file.unlink()
    for use in (store.verify, lambda: store.c[7], lambda: list(store.shards())):
        with pytest.raises(InputError, match=r"shard-00001\.safetensors: missing"):
            use()
    assert store.c[0].shape == (50, 5)


def test_a_shard_with_a_forged_checksum_is_refused(stored):
    import hashlib

    from safetensors.torch import save

    file, index = stored / "shard-00001.safetensors", stored / "index.json"
    good, held, told = file.read_bytes(), load_file(file), json.loads(index.read_text())
    header, c = int.from_bytes(good[:8], "little"), held["layer0.forward.c"]
    forged = [
        b"\xff" * len(good),
        good[:8] + b"x" * header + good[8 + header :],
        (2**62).to_bytes(8, "little") + good[8:],
        save({"layer0.inputs": held["layer0.inputs"], "x": torch.zeros(9999)}),
        save({**held, "layer0.forward.c": c.double()}),
        save({**held, "layer0.forward.c": c.transpose(0, 1).contiguous()}),
        good[: 8 + header] + bytes(8 * len(c)) + good[8 + header + 8 * len(c) :],  # lengths of 0
        good[: 8 + header] + b"\x40" * 8 * len(c) + good[8 + header + 8 * len(c) :],
    ]
    for bad in forged:
        file.write_bytes(bad)
        told["shards"][1] |= {"sha256": hashlib.sha256(bad).hexdigest(), "bytes": len(bad)}
        index.write_text(json.dumps(told))
        with pytest.raises(InputError, match=r"(shard-00001\.safetensors|index\.json): damaged"):
            read_all(stored)


def leaves(told, path=()):
    yield path
    children = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, value in children:
        yield from leaves(value, (*path, key))


def test_a_hostile_index_gives_no_traceback_and_no_wrong_values(stored):
    index = stored / "index.json"
    text, want = index.read_text(), read_all(stored)
    refused = 0
    for path in leaves(json.loads(text)):
        for bad in (None, -1, 0, 3, 10**30, 1.5, "x", "../../x", [], {}, [[]], True, float("inf")):
            told = json.loads(text)
            if path:
                at = told
                for key in path[:-1]:
                    at = at[key]
                at[path[-1]] = bad
            index.write_text(json.dumps(told if path else bad))
            try:
                got = read_all(stored)
            except InputError:
                refused += 1
            else:  # only what does not touch the values may be another
                assert {"settings", "batch_sha256", "checks"} & set(path) or json.loads(text) == told
                assert len(got) == len(want) and all(map(torch.equal, got, want))
    assert refused > 500
    for bad in (b"", b"{", b"[" * 10**5, b"\xff\xfe", text.encode()[:-20], b'{"format": 1}', b"9" * 5000):
        index.write_bytes(bad)
        for use in (lambda: lp.open_recording(stored), lambda: lp.record(lstm(), batches(3), to=stored)):
            with pytest.raises(InputError, match=r"index\.json: damaged.*; delete .* and record it again"):
                use()


def test_bad_input_is_named(tmp_path, stored):
    net, given = lstm(), batches(2)
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    nan = tensors((3, 4), (3, 4))
    nan[1][2, 1, 0] = torch.nan
    text = SimpleNamespace(inputs=nan[0], signals={"word": np.array([["a"] * 4] * 3)})
    short = SimpleNamespace(inputs=nan[0], signals={"count": torch.zeros(3, 3)})
    other = [given[0], SimpleNamespace(inputs=given[1].inputs, lengths=given[1].lengths, signals={})]
    kind = SimpleNamespace(inputs=nan[0], signals={"s": lp.Signal("s", torch.zeros(3, 4))})
    object.__setattr__(kind.signals["s"], "kind", "fuzzy")
    new = {"to": tmp_path / "new"}
    for problem, args, options in [
        ("there are no batches", ([],), new),
        ("an iterable of batches, not a int", (3,), new),
        ("batch 1: inputs: nan at sequence 2, step 1, feature 0", (nan,), new),
        ("batch 0: lengths: must be 3 whole numbers", (nan,), {**new, "lengths": [[9, 1, 1]] * 2}),
        ("give one entry for each batch; there are fewer", (given,), {**new, "lengths": [[50] * 6]}),
        ("state: with to=, give each batch as a tuple", (given,), {**new, "state": (nan[0], nan[0])}),
        ("shard_bytes=1000: one sequence alone takes", (given,), {**new, "shard_bytes": 1000}),
        ("shard_bytes=0: must be a whole number from 1", (given,), {**new, "shard_bytes": 0}),
        ("sequences=-1: must be a whole number from 1", (given,), {**new, "sequences": -1}),
        ("shard_bytes= and sequences= go with to=", (nan[0],), {"shard_bytes": 10**6}),
        (r"batch 0: signals\['word'\]: only numbers", ([text],), new),
        (r"batch 0: signals\['count'\]: shape \(3, 3\)", ([short],), new),
        ("batch 0: signals: kind=fuzzy", ([kind],), new),
        ("batch 1: its signals, or their kinds", (other,), new),
        ("file: a file, not a folder", (given,), {"to": tmp_path / "file"}),
        (r"full: contains other files \(thesis\.tex\)", (given,), {"to": tmp_path / "full"}),
    ]:
        with pytest.raises(InputError, match=problem):
            lp.record(net, *args, **options)
        assert not (tmp_path / "new" / ".lock").exists()
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
    store = lp.open_recording(stored)
    for problem, use in [
        ("no such folder", lambda: lp.open_recording(tmp_path / "nowhere")),
        ("no recording", lambda: lp.open_recording(tmp_path / "full")),
        ("not recorded; there are c", lambda: store.h),
        ("no such layer", lambda: store[1]),
        ("forward only", lambda: store.c[::-1]),
        ("by a number or a slice", lambda: store.c["a"]),
        ("whole numbers", lambda: store.c[0.5:]),
        ("say which", lambda: lp.record(lstm(num_layers=2), given, **new).c),
    ]:
        with pytest.raises(InputError, match=problem):
            use()
    with pytest.raises(IndexError):
        store.c[18]
    assert not hasattr(store, "weights") and not hasattr(store[0], "weights")


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
