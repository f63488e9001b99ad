"""Stored recordings that are damaged, forged or asked for what they do not have."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from tests.recorder.disk.made import batches, lstm, tensors


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
