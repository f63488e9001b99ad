"""The forms that signals come in: every one that is clear gives the same table, all others a sentence."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import xarray as xr

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import by_name, laid_out

LENGTHS = np.array([5, 3, 5, 2])
MASK = np.arange(5) < LENGTHS[:, None]
NUMBERS = np.arange(20).reshape(4, 5) * 0.5
WORDS = np.array(["N", "V", "ADJ"])[np.arange(20).reshape(4, 5) % 3]


def cut(values, kind=list):
    """Each sequence by itself, as long as it is."""
    return [kind(row[:n]) for row, n in zip(values, LENGTHS)]


@pytest.mark.parametrize("truth", [NUMBERS, WORDS, NUMBERS > 4, NUMBERS.astype(int)], ids=["f", "U", "b", "i"])
def test_whole_sequences(truth):
    padded = np.where(MASK, truth.astype(object), None)
    forms = {
        "array": truth, "list": truth.tolist(), "None": padded, "None in lists": padded.tolist(),
        "ragged": cut(truth.tolist()),
        "tuples": tuple(cut(truth.tolist(), tuple)), "arrays": cut(truth, np.array), "series": cut(truth, pd.Series),
        "objects": np.array([*cut(truth.tolist()), []], dtype=object)[:-1], "frame": pd.DataFrame(truth),
        "arrow": pa.array(truth.tolist()), "arrow, ragged": pa.array(cut(truth.tolist())),
        "chunks": pa.chunked_array([cut(truth.tolist())[:1], cut(truth.tolist())[1:]]),
        "a series of them": pd.Series(cut(truth.tolist())), "xarray": xr.DataArray(truth),
    }  # fmt: skip
    if truth.dtype.kind != "U":
        forms |= {"tensor": torch.tensor(truth), "tensors": cut(truth, torch.tensor)}
    for name, form in forms.items():
        values, known = laid_out("s", form, MASK)
        assert values.dtype.kind == truth.dtype.kind, name
        assert (known | ~MASK).all() and values[MASK].tolist() == truth[MASK].tolist(), name


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
@pytest.mark.parametrize("truth", [WORDS, NUMBERS, NUMBERS > 4], ids=["U", "f", "b"])
def test_steps_without_a_label(truth, missing):
    holed = truth.astype(object)
    holed[0, 3] = holed[2, 1] = missing
    for form in (holed, holed.tolist(), cut(holed.tolist())):
        values, known = laid_out("s", form, MASK)
        assert np.argwhere(MASK & ~known).tolist() == [[0, 3], [2, 1]]
        # Of True and NaN in a list, NumPy makes numbers.
        assert values.dtype.kind in (truth.dtype.kind, "f" if truth.dtype.kind == "b" else "")
        assert values[MASK & known].tolist() == truth[MASK & known].tolist()


@pytest.mark.parametrize(
    "labels", [[1, 0, 2, 1], ["a", "b", "a", "c"], [True, False, True, True], [0.5, 1.5, 2.5, 0.0]]
)
def test_a_label_for_each_sequence(labels):
    forms = [labels, tuple(labels), np.array(labels), pd.Series(labels), pd.Series(labels, dtype="category"),
             np.array(labels, dtype=object)]  # fmt: skip
    for form in [*forms, *([] if isinstance(labels[0], str) else [torch.tensor(labels)])]:
        values, known = laid_out("s", form, MASK)
        assert known.all() and values.tolist() == [[label] * 5 for label in labels]


def test_frames():
    one = by_name(pd.DataFrame({"n": [1, 2, 3, 4], "w": ["a", None, "b", "a"]}), MASK)
    assert laid_out("n", one["n"], MASK)[0][:, 0].tolist() == [1, 2, 3, 4]
    assert laid_out("w", one["w"], MASK)[1][:, 0].tolist() == [True, False, True, True]
    every = pd.DataFrame(
        {"n": np.arange(15), "w": pd.Categorical(["a", "b", "c"] * 5), 3: pd.array([None, *range(14)])}
    )
    steps = by_name(every, MASK)
    assert list(steps) == ["n", "w", "3"]
    values, known = laid_out("n", steps["n"], MASK)
    assert values[MASK].tolist() == list(range(15)) and values.dtype.kind == "i" and (known == MASK).all()
    assert laid_out("w", steps["w"], MASK)[0][MASK].tolist() == ["a", "b", "c"] * 5
    values, known = laid_out("3", steps["3"], MASK)
    assert not known[0, 0] and values[known].tolist() == list(range(14))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pd.DataFrame({"a": [1.0, 2.0]}), "signals: a DataFrame of 2 rows; it must have one for each of the 12"
         " sequences, or one for each of the 60 real steps, sequence after sequence"),
        ([1, 2], "signals: a list; must be a dict of arrays by name, or a DataFrame with a column for each signal"),
        (np.zeros((12, 5)), "signals: a ndarray; must be a dict"),
        (None, "signals: there are none; at least one is needed"),
        ({"a": [[1, 2], [3]]}, "signals['a']: 2 sequences; there are 12"),
        ({"a": [[1, 2]] + [[1] * 5] * 11}, "signals['a']: sequence 0 has 2 values, but 5 real steps"),
        ({"a": [["x", 1] + ["y"] * 3] * 12}, "signals['a']: must be numbers or text, not a mixture"),
        ({"a": np.zeros(5)}, "signals['a']: shape (5,); there are 12 sequences of 5 steps, so it must be (12,"
         " 5), or (12,) for one label of each sequence"),
        ({"a": pd.date_range("2020", periods=12)}, "signals['a']: must be numbers or text, not datetime64"),
        ({"a": np.zeros((12, 5), complex)}, "signals['a']: must be numbers or text, not complex128"),
        ({"a": [[{}] * 5] * 12}, "signals['a']: must be numbers or text, not object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("analysis", [lp.probe_units, lp.probe_populations, lp.memory_curves, lp.tuning_curves])
def test_what_is_not_clear_is_said_in_a_sentence(given, said, analysis):
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), torch.randn(12, 5, 2))
    with pytest.raises(InputError) as caught:
        analysis(rec, given)
    (problem,) = caught.value.problems
    assert problem.startswith(said)


def test_every_form_gives_the_same_table():
    torch.manual_seed(0)
    x, lengths = torch.randn(40, 6, 2), torch.arange(40) % 3 + 4
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), x, lengths=lengths)
    truth = np.where(x[..., 0].cumsum(1).numpy() > 0, "up", "down")
    ragged = [row[:n].tolist() for row, n in zip(truth, lengths)]
    none = np.array([row + [None] * (6 - len(row)) for row in ragged], dtype=object)
    flat = pd.DataFrame({"w": [word for row in ragged for word in row]})
    quick = {"permutations": 19, "bootstrap": 10, "untrained": 1, "alpha": 0.2}
    first, *others = (lp.probe_units(rec, own, **quick) for own in ({"w": truth}, {"w": ragged}, {"w": none}, flat))
    for table in others:
        pd.testing.assert_frame_equal(table, first)


@pytest.mark.parametrize("truth", [WORDS, NUMBERS], ids=["words", "numbers"])
def test_what_is_padded_further_than_the_longest_sequence_has_no_label_there(truth):
    """As beside inputs of a fixed width, which a packed recording does not keep."""
    wide = np.full((4, 8), None, dtype=object)
    wide[:, :5] = truth
    values, known = laid_out("s", wide, MASK)
    assert known.all() and values.tolist() == truth.tolist()
    wide[1, 6] = truth[0, 0]
    with pytest.raises(InputError, match=r"^s\['s'\]: shape \(4, 8\);.* all behind step 5 must be NaN$"):
        laid_out("s", wide, MASK, "s")


def test_whole_numbers_beside_nan_are_labels():
    """NumPy and pandas have no whole numbers there."""
    holed = np.where(np.random.default_rng(0).random((12, 5)) < 0.8, np.arange(60).reshape(12, 5) % 3, np.nan)
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), torch.randn(12, 5, 2))
    kinds = {}
    for name, values in (("labels", holed), ("halves", holed / 2), ("whole", np.nan_to_num(holed))):
        kinds[name] = lp.tuning_curves(rec, {name: values}, bootstrap=2)["kind"][0]
    assert kinds == {"labels": "categorical", "halves": "continuous", "whole": "continuous"}


@pytest.mark.parametrize("missing", ["holes", "behind the ends", "whole sequences"])
@pytest.mark.parametrize("made", ["recording", "stream", "batch", "target"])
def test_nan_anywhere_makes_labels_of_whole_numbers(missing, made):
    """Wherever it stands, NumPy had to write labels 0, 1, 2 as 0.0, 1.0, 2.0; where it does not, they are floats."""
    lengths, inputs = torch.arange(12) % 3 + 3, torch.randn(12, 5, 2)
    real, whole = (torch.arange(5) < lengths[:, None]).numpy(), np.arange(60).reshape(12, 5) % 4 // 1.0
    holes = np.arange(60).reshape(12, 5) % 7 == 3
    gone = {"holes": holes, "behind the ends": ~real, "whole sequences": np.arange(12)[:, None] % 5 == 1}[missing]
    with_gaps = np.where(gone, np.nan, whole)
    if made == "stream" and missing != "behind the ends":
        return  # a stream needs every label
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), inputs, lengths=lengths)
    few = {"permutations": 1, "bootstrap": 1, "untrained": 1, "folds": 2, "variables": ["c"]}

    class Shards:
        def __init__(self, values):
            self.values = values

        def shards(self):
            for rows in (slice(0, 1), slice(1, 12)):
                yield rec.rows(torch.arange(12)[rows]), {"s": self.values[rows]}

    kind_of = {
        "recording": lambda values: lp.probe_units(rec, {"s": values}, **few)["kind"][0],
        "stream": lambda values: lp.probe_units(Shards(values), **few)["kind"][0],
        "batch": lambda values: lp.Batch.make(inputs, {"s": values}, lengths=lengths).signals["s"].kind,
        "target": lambda values: lp.Batch.make(inputs, targets={"s": values}, lengths=lengths).target_specs[0].loss,
    }[made]
    kinds = [kind_of(values) for values in (with_gaps, with_gaps / 2, whole)]
    one, other = ("class", "regression") if made == "target" else ("categorical", "continuous")
    assert kinds == [one, other, other]


def test_a_stream_says_what_it_takes():
    class Shards:
        def shards(self):
            yield lp.record(torch.nn.LSTM(2, 3, batch_first=True), torch.randn(12, 5, 2)), {}

    for given, said in (
        (pd.DataFrame({"a": [1.0]}), "a stream of recordings takes a dict of arrays"),
        ({"a": [[1], [1, 2]]}, r"signals\['a'\]: sequences of unequal length; a stream needs an array"),
        ({"a": np.zeros(12)}, r"signals\['a'\]: shape \(12,\); it must be \(sequence, time\)"),
    ):
        with pytest.raises(InputError, match=said):
            lp.probe_units(Shards(), given)
