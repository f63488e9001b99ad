"""Signals as users give them."""

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.probing.data.signals import check_signal, check_signals

MASK = np.arange(6) < np.array([6, 4, 6, 2])[:, None]


def table(*levels):
    """Values that run through the levels."""
    return np.resize(np.array(levels), (4, 6))


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (table(0.0, 1.0), "binary", 2),
        (table(-3.5, 8.0), "binary", 2),
        (table(True, False), "binary", 2),
        (table("open", "shut"), "binary", 2),
        (table("a", "b", "c"), "categorical", 3),
        (table(0, 1, 2, 3), "categorical", 4),
        (table(-1, 0, 1), "continuous", 0),
        (table(0.0, 1.0, 2.0), "continuous", 0),
        (np.arange(24).reshape(4, 6), "continuous", 0),
        (torch.arange(24).reshape(4, 6) / 7, "continuous", 0),
        (torch.tensor(table(0.0, 1.0)), "binary", 2),
        (table("x", "y", "z").astype(object), "categorical", 3),
        (table(0.5, 0.25, 0.125).tolist(), "continuous", 0),
    ],
)
def test_kinds_are_inferred(values, kind, classes):
    (signal,) = check_signals({"s": values}, MASK)
    assert (signal.kind, signal.classes, signal.role) == (kind, classes, "latent")


def test_kind_depends_on_real_steps_alone():
    values = table(0.0, 1.0)
    values[~MASK] = np.nan
    values[1, 5] = 7
    (signal,) = check_signals({"s": values}, MASK)
    assert signal.kind == "binary"
    assert np.array_equal(signal.values[MASK], table(0.0, 1.0)[MASK])
    assert not signal.values[~MASK].any()


def test_a_signals_own_kind_and_role_are_kept():
    (signal,) = check_signals({"s": Signal("s", torch.tensor(table(0, 1, 2)), "continuous", "target")}, MASK)
    assert (signal.kind, signal.role, signal.metric) == ("continuous", "target", "r2")


def test_class_columns():
    binary, categorical = check_signals({"b": table(5.0, 9.0), "c": table("x", "y", "z")}, MASK)
    assert np.array_equal(binary.columns()[MASK][:, 0], table(5.0, 9.0)[MASK] == 9)
    assert np.array_equal(categorical.columns()[MASK], table("x", "y", "z")[MASK][:, None] == np.array(["x", "y", "z"]))


def test_everything_wrong_is_named_at_once():
    holed = table(0.0, 0.5, 1.0)
    holed[2, 3] = np.inf
    odd = Signal("odd", torch.zeros(4, 6))
    object.__setattr__(odd, "kind", "binry")
    with pytest.raises(InputError) as caught:
        check_signals(
            {
                "short": np.zeros((4, 5)),
                "holed": holed,
                "odd": odd,
                "many": Signal("many", torch.tensor(table(0, 1, 2)), "binary"),
                "text": np.array([["a", 1] * 3] * 4, dtype=object),
                "fine": table(0.0, 1.0),
            },
            MASK,
        )
    short, inf, odd, many, text = caught.value.problems
    assert short == (
        "signals['short']: shape (4, 5); there are 4 sequences of 6 steps, so it must be (4, 6), or (4,) for"
        " one label of each sequence"
    )
    assert inf == (
        "signals['holed']: inf at sequence 2, step 3; real steps need a finite value, or NaN where there is no label"
    )
    assert "kind=binry" in odd and "Did you mean 'binary'?" in odd
    assert "3 values" in many
    assert "'text'" in text
    with pytest.raises(InputError, match="there are none"):
        check_signals({}, MASK)


@pytest.mark.parametrize(("levels", "kind"), [(3, "categorical"), (10, "categorical"), (11, "continuous")])
def test_whole_numbers_are_labels_up_to_ten(levels, kind):
    values = np.arange(60).reshape(4, 15) % levels
    assert check_signal("s", values, np.ones((4, 15), dtype=bool)).kind == kind
