"""An LSTM that reads from the end is the reverse half of a bidirectional one."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_probe.core.errors import InputError
from lstm_probe.recorder.backward import BackwardLSTM


def pair(batch_first: bool, **more: int) -> tuple[nn.LSTM, BackwardLSTM]:
    torch.manual_seed(0)
    both = nn.LSTM(3, 5, batch_first=batch_first, bidirectional=True, **more)
    back = BackwardLSTM(3, 5, batch_first=batch_first, **more)
    back.load_state_dict({n: getattr(both, f"{n}_reverse").detach() for n in back.state_dict()})
    return both, back


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_tensor(batch_first: bool) -> None:
    both, back = pair(batch_first)
    x = torch.randn(4, 9, 3)
    (whole, (last, memory)), (h, state) = both(x), back(x)
    torch.testing.assert_close(h, whole[..., 5:])
    torch.testing.assert_close(state, (last[1:], memory[1:]))
    torch.testing.assert_close(back(x[0])[0], both(x[0])[0][..., 5:])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("sort", [True, False])
def test_packed_sequences(sort: bool) -> None:
    both, back = pair(True, proj_size=2)
    lengths = torch.tensor([9, 7, 5, 3] if sort else [3, 9, 5, 7])
    packed = pack_padded_sequence(torch.randn(4, 9, 3), lengths, batch_first=True, enforce_sorted=sort)

    def unpacked(h: Tensor | PackedSequence) -> Tensor:
        assert isinstance(h, PackedSequence)
        return pad_packed_sequence(h, batch_first=True)[0]

    start = torch.randn(1, 4, 2), torch.randn(1, 4, 5)
    (whole, (last, memory)), (h, state) = both(packed, tuple(torch.cat([s, s]) for s in start)), back(packed, start)
    torch.testing.assert_close(unpacked(h), unpacked(whole)[..., 2:])
    torch.testing.assert_close(state, (last[1:], memory[1:]))


def test_one_direction_only() -> None:
    with pytest.raises(InputError, match="one direction"):
        BackwardLSTM(3, 5, bidirectional=True)
