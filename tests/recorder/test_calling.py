"""One network written in the ways that people write it: what is measured of it is the same, or it is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lstm_probe as lp
from lstm_probe.recorder.calling import Calling, calling


class Written(nn.Module):
    """An embedding, an LSTM and a readout, with the same weights however it is written."""

    def __init__(self, batch_first=True):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.rnn, self.head = nn.Embedding(6, 5), nn.LSTM(5, 4, batch_first=batch_first), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.rnn(self.table(x))[0])


class OneFeature(Written):
    def forward(self, x):
        return super().forward(x[..., 0].long())


class IndexedTable(Written):
    def forward(self, x, max_len=None):
        return self.head(self.rnn(self.table.weight[x])[0])


class Ahead(Written):
    """What is called like lengths, and is none."""

    def forward(self, x, pred_len=None):
        return super().forward(x)[:, : None if pred_len is None else int(pred_len)]


class TurnedInside(Written):
    def __init__(self):
        super().__init__(batch_first=False)

    def forward(self, x):
        return super().forward(x.T).transpose(0, 1)


class TimeFirst(Written):
    def __init__(self):
        super().__init__(batch_first=False)


class Packed(Written):
    def forward(self, x, seq_lens):
        first, time = self.rnn.batch_first, x.shape[self.rnn.batch_first]
        packed = pack_padded_sequence(self.table(x), seq_lens, batch_first=first, enforce_sorted=False)
        return self.head(pad_packed_sequence(self.rnn(packed)[0], batch_first=first, total_length=time)[0])


class PackedWhereSaid(Packed):
    def forward(self, x, lengths=None):
        return Written.forward(self, x) if lengths is None else super().forward(x, lengths)


class PackedTimeFirst(Packed):
    def __init__(self):
        super().__init__(batch_first=False)


class StepByStep(Written):
    """Time first, an LSTMCell, the state beside the outputs."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(5, 4)
        self.cell.load_state_dict({key.removesuffix("_l0"): own for key, own in self.rnn.state_dict().items()})
        del self.rnn

    def forward(self, x, state=None):
        outputs = []
        for now in x:
            state = self.cell(self.table(now), state)
            outputs.append(self.head(state[0]))
        return torch.stack(outputs), state


WAYS = {
    Written: Calling(tokens=True), OneFeature: Calling(), IndexedTable: Calling(tokens=True),
    Ahead: Calling(tokens=True), PackedWhereSaid: Calling(tokens=True, lengths=True),
    TurnedInside: Calling(tokens=True), TimeFirst: Calling(tokens=True, time_first=True),
    Packed: Calling(tokens=True, lengths=True), PackedTimeFirst: Calling(tokens=True, time_first=True, lengths=True),
    StepByStep: Calling(tokens=True, time_first=True),
}  # fmt: skip


def batch_of(sequences, time):
    rng = np.random.default_rng(0)
    x, lengths = rng.integers(0, 6, (sequences, time)), rng.integers(time - 3, time + 1, sequences)
    lengths[0] = time
    with torch.no_grad():
        y = Written()(torch.from_numpy(x))[..., 0].numpy()
    return lp.Batch.make(x, targets={"y": y + rng.normal(0, 0.3 * y.std(), y.shape)}, lengths=lengths)


@pytest.mark.parametrize("sequences", [30, 9])  # with as many sequences as steps shapes tell nothing
@pytest.mark.parametrize("written", WAYS)
def test_what_is_measured_is_what_one_way_of_writing_gives(written, sequences):
    batch, numbers = batch_of(sequences, 9), ["intact", "clamped", "refit_drop"]
    plain, other = (lp.ablate_units(model, batch, bootstrap=20) for model in (OneFeature(), written()))
    assert calling(written(), batch) == WAYS[written]
    np.testing.assert_allclose(other[numbers], plain[numbers], atol=1e-5)
    pairs = [lp.patch_units(model, batch)["moved"] for model in (OneFeature(), written())]
    np.testing.assert_allclose(pairs[1], pairs[0], atol=1e-4)
    plain, other = (lp.timescales(model, batch)["size"] for model in (OneFeature(), written()))
    np.testing.assert_allclose(other, plain, atol=1e-5)


def test_features_with_steps_first_are_not_taken_for_sequences():
    """Without a check the axes would be exchanged, and everything would have its right shape."""
    torch.manual_seed(0)
    early, late = nn.LSTM(3, 4, batch_first=True), nn.LSTM(3, 4)
    late.load_state_dict(early.state_dict())
    x = torch.randn(20, 7, 3)
    batch = lp.Batch.make(x, targets={"h": early(x)[0].detach()})
    assert calling(late, batch) == Calling(time_first=True)
    tables = [lp.ablate_units(model, batch, bootstrap=20) for model in (early, late)]
    np.testing.assert_allclose(tables[1]["refit_drop"], tables[0]["refit_drop"], atol=1e-5)
    assert (tables[0]["intact"] > 0.999).all()


def test_whole_numbers_stay_features_where_a_module_takes_them():
    batch = lp.Batch.make(np.arange(24).reshape(4, 6), targets={"y": np.zeros((4, 6))})
    assert calling(nn.LSTM(1, 1, batch_first=True), batch) == Calling()


class Stateful(Written):
    def forward(self, x, state, extra=None):
        raise AssertionError


class Named(OneFeature):
    def forward(self, x):
        return {"logits": super().forward(x)}


class Logits(Written):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        return super().forward(x)[:, -1]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Stateful(), "the model's forward needs state beside inputs, which a batch has not; a module around it"),
        (Named(), "the model returns a dict; it must return its outputs, a tensor, or a tuple with them first"),
    ],
)
def test_what_a_batch_cannot_be_handed_to_is_said(model, said):
    with pytest.raises(lp.InputError) as caught:
        lp.ablate_units(model, batch_of(12, 9))
    assert str(caught.value).startswith(said)


def test_logits_of_two_classes_are_said_to_be_classes():
    rng = np.random.default_rng(0)
    x, label = rng.integers(0, 6, (30, 9)), rng.integers(0, 2, 30)
    with pytest.raises(lp.InputError, match=r"; logits of 2 classes are (.*)$") as caught:
        lp.ablate_units(Logits(2), lp.Batch.make(x, targets={"label": label}))
    said = str(caught.value).split(" are ")[-1]
    specs = eval(said.removeprefix("target_specs="), {"Target": lp.Target})
    batch = lp.Batch.make(x, targets={"label": label}, target_specs=specs)
    assert len(lp.ablate_units(Logits(2), batch, bootstrap=20)) == 4
    with pytest.raises(lp.InputError, match=r"at the last step alone$"):
        lp.ablate_units(Logits(2), lp.Batch.make(x, targets={"label": label / 2}))
