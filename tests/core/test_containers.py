"""Numbers in special arrays and tensors: what they hide is missing, what they leave out is 0, rows stay."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError

LARGE = (np.arange(30).reshape(6, 5) % 3 + 2**60).astype(object)
LARGE[0, 0] = None
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5, 2)).astype(np.float32)
LABELS = RNG.integers(0, 4, (6, 5))
LENGTHS = [5, 4, 3, 5, 2, 1]
HIDDEN = LABELS == 2


def masked_tensor(values, hidden):
    with pytest.warns(UserWarning, match="prototype"):
        return torch.masked.masked_tensor(torch.tensor(values), torch.tensor(~hidden))


HIDING = {
    "floats": lambda values, hidden: np.ma.masked_array(values.astype(float), hidden),
    "whole numbers": np.ma.masked_array,
    "text": lambda values, hidden: np.ma.masked_array(values.astype(str), hidden),
    "rows": lambda values, hidden: [np.ma.masked_array(*row) for row in zip(values, hidden)],
    "a tensor": masked_tensor,
}


@pytest.mark.parametrize("made", HIDING)
def test_what_a_mask_hides_has_no_label(made):
    given = HIDING[made](LABELS, HIDDEN)
    batch = lp.Batch.make(X, {"s": given})
    values = batch.signals["s"].values.numpy()
    assert np.array_equal(np.isnan(values), HIDDEN)
    known = np.unique(LABELS[~HIDDEN], return_inverse=True)[1] if made == "text" else LABELS[~HIDDEN]
    assert np.array_equal(values[~HIDDEN], known)


def test_what_a_mask_hides_of_a_target_does_not_count():
    for given in (np.ma.masked_array(LABELS, HIDDEN), np.ma.masked_array(LABELS.astype(np.float32), HIDDEN)):
        batch = lp.Batch.make(X, targets={"y": given})
        assert np.array_equal(batch.scored_steps("y").numpy(), ~HIDDEN)
        assert np.array_equal(batch.targets["y"].numpy()[~HIDDEN], LABELS[~HIDDEN])
    two = np.ma.masked_array(np.stack([LABELS, LABELS], 2).astype(float), np.stack([HIDDEN, HIDDEN], 2))
    assert np.array_equal(lp.Batch.make(X, targets={"y": two}).scored_steps("y").numpy(), ~HIDDEN)


def test_hidden_inputs_lengths_and_groups_are_missing_ones():
    behind = np.broadcast_to((np.arange(5) >= np.array(LENGTHS)[:, None])[..., None], X.shape)
    given = np.ma.masked_array(X, behind)
    batch = lp.Batch.make(given, lengths=LENGTHS)
    assert np.array_equal(batch.inputs.numpy(), np.where(behind, 0, X))
    for refused, message in (
        (lambda: lp.Batch.make(given), "inputs: not a finite number at sequence 1, step 4"),
        (lambda: lp.Batch.make(list(given)), "inputs: not a finite number at sequence 1, step 4"),
        (lambda: lp.Batch.make(X, lengths=np.ma.masked_array(LENGTHS, [0, 1, 0, 0, 0, 0])), "lengths: must be 6 whole"),
        (lambda: lp.Batch.make(X, groups=np.ma.masked_array(LENGTHS, [0, 1, 0, 0, 0, 0])), "groups: 1 of 6 sequences"),
    ):
        with pytest.raises(InputError, match=message):
            refused()


def test_probing_sees_no_hidden_label():
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), X)
    gaps = LABELS.astype(object)
    gaps[HIDDEN] = None
    asked = {"permutations": 9, "bootstrap": 10, "variables": ["c"]}
    got = lp.probe_units(rec, {"s": np.ma.masked_array(LABELS, HIDDEN)}, **asked)
    pd.testing.assert_frame_equal(pd.DataFrame(got), pd.DataFrame(lp.probe_units(rec, {"s": gaps}, **asked)))


SPARSE = {"by place": torch.Tensor.to_sparse, "by row": torch.Tensor.to_sparse_csr}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("made", SPARSE)
def test_what_a_sparse_tensor_leaves_out_is_zero(made):
    sparse = SPARSE[made](torch.tensor(LABELS))
    batch = lp.Batch.make(torch.tensor(X).to_sparse(), {"s": sparse}, targets={"y": sparse})
    assert np.array_equal(batch.inputs.numpy(), X)
    assert np.array_equal(batch.signals["s"].values.numpy(), LABELS)
    assert np.array_equal(batch.targets["y"].numpy(), LABELS)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_parts_of_nested_tensors_and_of_iterators_are_sequences():
    rows = [torch.tensor(own[:n]) for own, n in zip(X, LENGTHS)]
    signal = [own[:n] for own, n in zip(LABELS, LENGTHS)]
    wanted = lp.Batch.make(rows, {"s": signal})
    objects = np.empty(6, dtype=object)
    objects[:] = [row.numpy() for row in rows]
    nested = torch.nested.nested_tensor(rows), torch.nested.nested_tensor([torch.tensor(own) for own in signal])
    for inputs, labels in (nested, (iter(rows), iter(signal)), (objects, signal), (pd.Series(list(objects)), signal)):
        batch = lp.Batch.make(inputs, {"s": labels})
        assert torch.equal(batch.lengths, torch.tensor(LENGTHS))
        assert torch.equal(batch.inputs, wanted.inputs)
        mask = batch.mask
        assert torch.equal(batch.signals["s"].values[mask], wanted.signals["s"].values[mask])


def test_axes_that_have_names_stand_where_their_names_say():
    xarray = pytest.importorskip("xarray")
    square = RNG.normal(size=(5, 5, 2)).astype(np.float32)
    inputs = xarray.DataArray(square.transpose(1, 0, 2), dims=("time", "sequence", "unit"))
    signal = xarray.DataArray(square[..., 0].T, dims=("time", "sequence"))
    batch = lp.Batch.make(inputs, {"s": signal})
    assert np.array_equal(batch.inputs.numpy(), square)
    assert np.array_equal(batch.signals["s"].values.numpy(), square[..., 0])
    assert np.array_equal(lp.Batch.make(xarray.DataArray(square)).inputs.numpy(), square)


def test_numbers_in_other_types_are_those_numbers():
    for given in (
        X.astype(np.longdouble), X.astype(object), X.astype(">f8"), np.asfortranarray(X), X[::-1][::-1],
        [pd.DataFrame({"a": pd.array(own[:, 0], dtype="Float32"), "b": own[:, 1].astype(object)}) for own in X],
        torch.tensor(X).to(torch.complex64).conj().real,
    ):  # fmt: skip
        assert np.array_equal(lp.Batch.make(given).inputs.numpy(), X)
    exact = {"d": [[Decimal(int(v)) / 4 for v in row] for row in LABELS], "f": [[Fraction(int(v), 4) for v in row]
                                                                               for row in LABELS]}  # fmt: skip
    for one in lp.Batch.make(X, exact).signals.values():
        assert np.array_equal(one.values.numpy(), LABELS / 4)


def test_tables_of_arrow_and_polars_are_tables():
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"a": [1, None, 3, 4, 5, 6], "b": list("uvuvuv")}
    wanted = lp.Batch.make(X, pd.DataFrame(columns)).signals
    tables = [pyarrow.table(columns)]
    try:
        import polars

        tables += [polars.DataFrame(columns), polars.LazyFrame(columns)]
    except ImportError:
        pass
    for table in tables:
        batch = lp.Batch.make(X, table, targets=table)
        for name, one in wanted.items():
            assert torch.equal(batch.signals[name].values.nan_to_num(-1), one.values.nan_to_num(-1))
        assert batch.scored_steps("a").sum() == 5  # at each last step but where there is none


def test_differences_between_large_numbers_are_kept():
    """A clock in seconds since 1970, and labels that 32 bits or 64 do not hold beside gaps."""
    seconds = 1_700_000_000 + np.arange(30).reshape(6, 5) * 7
    signal = lp.Batch.make(X, {"s": seconds}).signals["s"].values
    assert np.array_equal(signal.numpy().astype(np.int64), seconds)
    labels = (2**24 + LABELS % 2).astype(object)
    labels[0, 0] = None
    signal = lp.Batch.make(X, {"s": labels}).signals["s"].values.numpy()
    assert np.array_equal(signal[1:].astype(np.int64), labels[1:].astype(np.int64))
    small = lp.Batch.make(X, {"s": X[..., 0].astype(float) + 100}).signals["s"].values
    assert small.dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lp.Batch.make(X, {"s": torch.zeros(6, 5, device="meta")}), "signals['s']: a tensor on the meta"),
        (lambda: lp.Batch.make(torch.zeros(6, 5, 2, device="meta")), "inputs: a tensor on the meta device"),
        (lambda: lp.Batch.make(X, {"s": LABELS.astype(np.uint64) + 2**63}), "signals['s']: 9223372036854775811 is"),
        (lambda: lp.Batch.make(X, {"s": LABELS * 1e300}), "signals['s']: 3e+300 is beyond 32-bit numbers"),
        (lambda: lp.Batch.make(X, targets={"y": LABELS * 1e300}), "targets['y']: 3e+300 is beyond 32-bit numbers"),
        (lambda: lp.Batch.make(X, {"s": LARGE}), "signals['s']: labels beyond 2^53 beside steps without one run into"),
        (lambda: lp.Batch.make(X, pd.DataFrame(np.zeros((6, 2)), columns=["a", "a"])), "signals: a: a name appears"),
        (lambda: lp.Batch.make(X, {1: LABELS, "1": LABELS}), "signals: 1: a name appears twice"),
        (lambda: lp.Batch.make(X, targets=LABELS), "targets: a ndarray; must be a dict of arrays by name, or a "),
        (lambda: lp.Batch.make(X, targets=[LABELS]), "targets: a list; must be a dict of arrays by name, or a "),
        (lambda: lp.Batch.make(X.astype(str)), "inputs: must be numbers, in rows of one length"),
        (lambda: lp.Batch.make(X.astype(str).astype(object)), "inputs: must be numbers, in rows of one length"),
        (lambda: lp.Batch.make([["1", 2.0]]), "inputs: sequence 0: must be numbers, in rows of one length"),
        (lambda: lp.Batch.make([[1.0, None]]), "inputs: not a finite number at sequence 0, step 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert message in str(error.value)
