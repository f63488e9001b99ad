"""Whatever people hold in a notebook: a few lines of text, a page that stands by itself, and nothing computed."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.capacity.shrink import Shrunk
from lstm_probe.core.run_columns import SHRINK_COLUMNS
from lstm_probe.formats.imported import Imported
from lstm_probe.probing.analyses.matching import SIMILARITY_COLUMNS
from lstm_probe.probing.analyses.universal import COLUMNS as UNIVERSAL_COLUMNS
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording
from lstm_probe.sizing.answer import Trial, put_together
from lstm_probe.sizing.recurring import Recurring
from tests.core.test_shown import HOSTILE, checked
from tests.figures.made import made_run

ODD = HOSTILE[0]


def a_batch():
    signals = {ODD: np.arange(12).reshape(3, 4), "bit": [[0, 1, 0, 1]] * 3}
    return lp.Batch.make(np.ones((3, 4, 2)), signals, targets={"bit": [[0, 1, 0, 1]] * 3}, groups=[1, 1, 2])


def a_recording(layers=1, **more):
    torch.manual_seed(0)
    return lp.record(nn.LSTM(2, 3, layers, batch_first=True, **more), torch.randn(3, 4, 2), lengths=[4, 2, 3])


def a_stored(folder):
    torch.manual_seed(0)
    return lp.record(nn.LSTM(2, 3, batch_first=True), iter([a_batch()]), to=folder / "stored", sequences=3)


def a_shrunk():
    rows = [("as it is", 8, 0, ODD, sequences, 0.99, 1.0) for sequences in ("chose", "decided", "check")]
    rows += [("merged", 3, 0, ODD, sequences, 0.98, 0.9899) for sequences in ("chose", "decided", "check")]
    table = pd.DataFrame(rows, columns=list(SHRINK_COLUMNS))
    kept = {(0, "forward"): (1, 4, 6)}
    return Shrunk(nn.LSTM(2, 3), kept, 3, {"unread": 2, "copy": 0, "constant": 1}, 0, table)


def a_recurring():
    similarity = dict.fromkeys(SIMILARITY_COLUMNS, 0.01) | {"network": "all", "other": "all", "measure": "units"}
    pair = similarity | {"network": "u4-s0", "other": "u4-s1", "similarity": 0.7}
    signal = dict.fromkeys(UNIVERSAL_COLUMNS, 0) | {"signal": ODD, "role": "target", "tracked_in": 2, "n_networks": 2}
    return Recurring(pd.DataFrame(), pd.DataFrame([similarity, pair]), pd.DataFrame([signal]))


def an_import():
    lstm = nn.LSTM(5, 7, bidirectional=True, batch_first=True)
    return Imported(lstm, f"Keras {ODD}", "lstm", nn.Linear(14, 2), "softmax", last_step=True, notes=(ODD,))


KINDS = {
    "Batch": (lambda folder: a_batch(), ["3 sequences of 4 steps, 2 inputs", "bit (binary)", "groups"]),
    "Signal": (lambda folder: a_batch().signals[ODD], ["continuous, latent; 3 × 4 (sequence, time), float32 on cpu"]),
    "Recording": (lambda folder: a_recording(), [
        "3 sequences of 2 to 4 steps", "h c i f g o of 3 units, which read 2 inputs", "largest difference"]),
    "Recording of many": (lambda folder: a_recording(5, bidirectional=True), [
        "layer 1 reverse", "6 more layers or directions"]),
    "Recording of LSTMP": (lambda folder: a_recording(proj_size=2), ["3 units (h projected to 2)"]),
    "a layer": (lambda folder: a_recording()[0], ["Layer 0 forward", "3 × 4 × 3"]),
    "StoredRecording": (a_stored, ["3 sequences of up to 4 steps", "1 shard", "bit"]),
    "a stored layer": (lambda folder: a_stored(folder)[0], ["c: 3 × 4 × 3 (sequence, time, unit)"]),
    "Run": (made_run, ["tracking, 4 units, seed 0", "count 0.995", "probes populations ablations"]),
    "cards": (lambda folder: lp.unit_cards(made_run(folder)), ["Cards of 4 units", "Unit 0, c: count (tracks, needed"]),
    "a card": (lambda folder: lp.unit_cards(made_run(folder)).iloc[[1]], ["Unit 1, c: latch", "It tracks latch"]),
    "answer": (lambda folder: lp.answer(made_run(folder)), ["Learned: all 5 targets solved", "count: unit 0"]),
    "anatomy": (lambda folder: lp.describe(6, 2, projection=3), ["6 units that each see all 2 inputs", "PyTorch 186"]),
    "Shrunk": (lambda folder: a_shrunk(), ["8 to 3 units", "2 unread, 1 constant", "0.990"]),
    "match_runs": (lambda folder: a_recurring(), ["2 networks: u4-s0, u4-s1", "in 2 of 2 networks a unit tracks it"]),
    "Imported": (lambda folder: an_import(), [
        "5 inputs, 7 units, 1 layer, both directions", "readout of 2 outputs (at the last step), then softmax"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_short_text_and_a_page(kind, tmp_path):
    make, words = KINDS[kind]
    thing = make(tmp_path)
    text, page = repr(thing), thing._repr_html_()
    assert len(text.splitlines()) <= 12 and len(text) < 2500
    shown = " ".join(checked(page))
    for word in words:
        assert word in " ".join(text.split()) and (word in shown or kind == "a card"), word
    assert len(page) < 40_000


@pytest.mark.parametrize("device", ["meta"])
def test_looking_touches_no_value_on_another_device(device):
    """Values on "meta" are none: to compute with one, or to copy it, is an error."""
    many = torch.zeros(4, 9, 5, device=device)
    part = LayerRecording(0, "forward", many, many, many)
    rec = lp.Recording({(0, "forward"): part}, torch.full((4,), 9, device=device), LSTMConfig(5, 5))
    assert repr(rec).startswith("Recording: 4 sequences of up to 9 steps, float32 on meta\n") and rec._repr_html_()
    assert "4 × 9 × 5" in repr(rec[0])
    batch = a_batch().to(device)
    assert repr(batch).startswith("Batch: 3 sequences of up to 4 steps, 2 inputs, float32 on meta\n")
    assert "on meta" in repr(batch.signals["bit"])


def test_what_is_not_there_yet_is_looked_at_all_the_same(tmp_path):
    net = nn.LSTM(2, 3, batch_first=True)
    with lp.recording(net) as rec:
        assert repr(rec).startswith("Recording: nothing yet") and rec._repr_html_()
        net(torch.zeros(2, 4, 2))
    assert repr(rec).startswith("Recording: 2 sequences of 4 steps")
    none = rec.rows(torch.zeros(0, dtype=torch.long))
    assert repr(none).startswith("Recording: 0 sequences, float32") and checked(none._repr_html_())
    assert repr(a_batch()[:0]).startswith("Batch: 0 sequences, 2 inputs")
    for kind in (lp.Recording, lp.StoredRecording, lp.Batch, lp.Signal, lp.Shrunk, lp.Imported):
        half = object.__new__(kind)
        assert repr(half) == f"<{kind.__name__}, not complete>" and half._repr_html_() is None


def test_a_run_is_shown_from_its_own_file_alone(tmp_path):
    run = made_run(tmp_path)
    bare = type(run)(run.path, {"run": "u1-s0", "task": ODD})
    assert repr(bare).splitlines()[0] == f"Run u1-s0: {ODD}" and checked(bare._repr_html_())
    shown = repr(type(run)(tmp_path / "nowhere", run.info))
    assert "solved" in shown and "nowhere" in shown
    lost = dict(run.info, solved=False, learned=dict(run.info["learned"], count=False))
    assert "not solved; scores (1 is perfect): count 0.995 (NOT LEARNED)" in repr(type(run)(tmp_path, lost))


def test_the_size_that_was_found_is_said_first(tmp_path):
    trials = [Trial(f"r{n}{s}", n, s, {"parity": 0.995 if n > 2 else 0.1}, n > 2, 1.0, False)
              for n in (2, 3, 4) for s in range(4)]  # fmt: skip
    solved = {trial.run: trial.solved for trial in trials}
    found = put_together(
        lp.get_task("parity"), trials, solved, {"parity": 0.99}, "as the task says", True, (1, 8), tmp_path
    )
    text, texts = repr(found), checked(found._repr_html_())
    assert text.splitlines()[0] == found.sentence == texts[0] and len(text.splitlines()) <= 4
    assert "12 trainings, 12 s" in text and "Counts as solved: as the task says" in texts
    assert [texts[k + 1] for k, word in enumerate(texts) if word in ("2", "3", "4")] == ["0 of 4", "4 of 4", "4 of 4"]
    assert repr(found.targets["parity"]) == found.targets["parity"].sentence
