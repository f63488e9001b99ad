"""Arrays and tensors of other kinds, handed to a module that is recorded: read as what they are, or named."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.core.errors import InputError

torch.manual_seed(0)
LSTM = nn.LSTM(3, 4, batch_first=True)
X = torch.randn(5, 6, 3)
HIDDEN = np.arange(90).reshape(5, 6, 3) % 17 == 3


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = LSTM

    def forward(self, x):
        return self.rnn(x)[0]


@pytest.mark.parametrize(
    "given",
    [
        X.numpy().astype(np.longdouble), X.numpy().astype(">f4"),
        X.numpy().astype(object), np.asfortranarray(X.numpy()),
        np.ma.masked_array(X.numpy()), [one.to_sparse() for one in X], [one.astype(object) for one in X.numpy()],
    ],
    ids=["long", "swapped", "objects", "Fortran", "nothing hidden", "sparse rows", "rows of objects"],
)  # fmt: skip
def test_it_is_read_as_what_it_is(given):
    with torch.no_grad():
        h = LSTM(X)[0]
    assert torch.allclose(lp.record(LSTM, given).h, h, atol=1e-6)
    assert torch.allclose(lp.record(Outer(), given).h, h, atol=1e-6)


@pytest.mark.parametrize("module", [LSTM, Outer()], ids=["itself", "within a module"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ma.masked_array(X.numpy(), HIDDEN), "inputs: nan at sequence 0, step 1, feature 0"),
        ([np.ma.masked_array(*row) for row in zip(X.numpy(), HIDDEN)], "inputs: nan at sequence 0, step 1, feature 0"),
        (X.to_sparse(), "inputs: a sparse tensor; give its .to_dense()"),
        (np.zeros((5, 6), dtype=[("a", "f4")]), "inputs: must be numbers, in "),
        (X.numpy().astype(str), "inputs: must be numbers, in rows of one length"),
        (X.numpy().astype(complex), "inputs: complex numbers; real and imaginary parts are two features"),
        (pd.DataFrame(X[0].numpy()), "inputs: a DataFrame; "),
        ("the data", "inputs: a str; "),
        (torch.utils.data.TensorDataset(X), "inputs: a TensorDataset; "),
    ],
)
def test_what_no_module_takes_is_named(module, given, message):
    with pytest.raises(InputError) as error:
        lp.record(module, given)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "keywords",
    [
        {"lengths": np.ma.masked_array([6, 5, 4, 3, 2], [0, 1, 0, 0, 0])},
        {"lengths": [True] * 5},
        {"mask": np.ma.masked_array(np.ones((5, 6), dtype=bool), HIDDEN[..., 0])},
    ],
)
def test_hidden_lengths_are_none(keywords):
    with pytest.raises(InputError, match=next(iter(keywords))):
        lp.record(LSTM, X, **keywords)


def test_a_mask_may_be_sparse_or_have_a_mask_that_hides_nothing():
    real = torch.arange(6) < torch.tensor([6, 5, 4, 3, 2])[:, None]
    for mask in (real.float().to_sparse(), np.ma.masked_array(real.numpy())):
        assert lp.record(LSTM, X, mask=mask).lengths.tolist() == [6, 5, 4, 3, 2]
