"""What the input of the same step tells of a signal, by any function: a network that shows it again needs no memory.

The better of two held-out predictions counts. One is linear. The other is a look-up of the mean beside each input
vector, where there are few different ones; where there are many, it is a ridge regression on curves of each input
(cubic splines) and products of two. So functions of one or two numbers are found, if they have but a few bends; what
takes three numbers at a time is found where vectors recur.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int, Shaped

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.vectors import hashed_rows
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.fits.splines import spline_features
from lstm_probe.probing.inference.baselines import LEAST_REPEATS, time_means
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.data import Recording

#: An input's knots are quantiles of its distinct values: what it mostly is, such as 0 between events, takes one alone.
KNOTS = (0.025, 0.215, 0.405, 0.595, 0.785, 0.975)

#: The linear prediction sees no more inputs than this, the other one no more than that, those that vary most; and no
#: more products. So neither has more than 800 features, however long the input is.
MOST_LINEAR, MOST_CURVED, MOST_PRODUCTS = 800, 40, 200

#: Directions of an input's curves with less than this share of their variance say nothing new.
NOTHING_NEW = 1e-9


def present_input(rec: Recording, view: View) -> Float[np.ndarray, " signal"]:
    """Return the effect of the best prediction of each signal from the network's input at the same step."""
    return PresentInput(rec, view.signals[0]).effects(view)


class PresentInput:
    """What a recording's inputs tell of signals at the same steps; types and features are made once for all lags.

    Args:
        rec: the recording.
        signal: one of those that are labelled at the same steps: the inputs there say where knots lie.
    """

    def __init__(self, rec: Recording, signal: CheckedSignal) -> None:
        self.rec, self.real = rec, rec.mask.cpu().numpy()
        self.labelled = signal.among(self.real)

    @cached_property
    def values(self) -> Shaped[np.ndarray, "sequence time feature"]:
        """The inputs as an array, which shares their memory where it can."""
        inputs = self.rec.inputs.detach().cpu()
        return (inputs.float() if inputs.dtype.itemsize < 4 else inputs).numpy()

    @cached_property
    def types(self) -> Int[np.ndarray, "sequence time"]:
        """A number for each different vector of inputs; 0 at steps that are not real."""
        out = np.zeros(self.real.shape, dtype=np.int64)
        out[self.real] = np.unique(hashed_rows(self.values[self.real]), return_inverse=True)[1]
        return out

    @cached_property
    def features(self) -> Float[np.ndarray, "sequence time made"]:
        """The features of each step; 0 at steps that are not real, or whose inputs are not numbers."""
        seen = self.real & np.isfinite(self.values).all(-1)
        made = InputFeatures.of(self.values[seen & self.labelled])(self.values[seen])
        out = np.zeros((*seen.shape, made.shape[-1]))
        out[seen] = made
        return out

    @cached_property
    def lines(self) -> Int[np.ndarray, " input"]:
        """The numbers of the inputs that the linear prediction sees."""
        return linear_inputs(self.values[self.labelled])

    def effects(self, view: View) -> Float[np.ndarray, " signal"]:
        """Return the effect of the best prediction of each of a view's signals."""
        types = self.types[:, view.lag :]
        distinct = int(np.count_nonzero(np.bincount(types[view.mask])))
        look_up, linear = ways(distinct, int(view.mask.sum()), self.values.shape[-1])
        predicted = []
        if linear:
            x = view.features(self.rec.inputs[..., self.lines])
            predicted.append(ridge_predictions(x, view.columns, view))
        if look_up:
            predicted.append(looked_up_predictions(types, view))
        else:
            z = self.features[:, view.lag :]
            z = z if view.mask.all() else np.where(view.mask[..., None], z, 0.0)
            predicted.append(ridge_predictions(z, view.columns, view))
        found = [effects(evaluate_predictions(each, view).score, view)[0] for each in predicted]
        result: np.ndarray = np.maximum.reduce(found)
        return result


def ways(distinct: int, steps: int, inputs: int) -> tuple[bool, bool]:
    """Return whether there is a look-up, and whether there is a linear prediction.

    Args:
        distinct: how many different vectors there are.
        steps: how many steps.
        inputs: the length of a vector.
    """
    look_up = distinct * LEAST_REPEATS <= steps
    # With no more vectors than inputs, such as symbols have, nothing linear is beyond a look-up.
    return look_up, not look_up or distinct > inputs


def looked_up_predictions(
    types: Int[np.ndarray, "sequence time"], view: View
) -> Float[np.ndarray, "sequence time column"]:
    """Return the training part's mean beside each type of input, drawn a little to its overall mean."""
    shape = view.split.folds, int(types.max(initial=0)) + 1
    place = np.ravel_multi_index((view.split.fold[:, None] + 0 * types, types), shape)
    every, size = place[view.mask], shape[0] * shape[1]
    count = np.bincount(every, minlength=size).astype(np.float64).reshape(shape)
    total = np.stack([np.bincount(every, y, size) for y in view.columns[view.mask].T], axis=-1)
    mean = time_means(total.reshape(*shape, -1).astype(np.float64), count).reshape(size, -1)
    return np.where(view.mask[..., None], mean[place], 0.0)


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of one number that span its natural cubic splines, uncorrelated and of variance 1 in a sample."""

    knots: Float[np.ndarray, "1 knot"]
    mean: Float[np.ndarray, " feature"]
    turn: Float[np.ndarray, "feature curve"]

    @classmethod
    def of(cls, x: Float[np.ndarray, " step"]) -> "Curves | None":
        """Return the curves; None for a number with no more than two values, of which a curve is a line."""
        values = np.unique(x)
        if len(values) <= 2:
            return None
        knots = np.quantile(values, KNOTS)[None]
        z = spline_features(x[None], knots)[0].T
        mean = z.mean(0)
        z = z - mean
        size = np.sqrt(np.einsum("nf,nf->f", z, z) / len(z))
        scale = (size > 0) / np.where(size > 0, size, 1)
        share, vectors = np.linalg.eigh((z.T @ z) / len(z) * scale * scale[:, None])
        new = share > NOTHING_NEW * len(share)
        return cls(knots, mean, scale[:, None] * vectors[:, new] / np.sqrt(share[new]))

    def __call__(self, x: Float[np.ndarray, " step"]) -> Float[np.ndarray, "step curve"]:
        """Return their values."""
        result: np.ndarray = (spline_features(x[None], self.knots)[0].T - self.mean) @ self.turn
        return result

    def rank(self, x: Float[np.ndarray, "step one"]) -> Float[np.ndarray, "step one"]:
        """Return about the share of distinct values below, from −1 to 1: what is far out counts no more than near."""
        result: np.ndarray = np.interp(x, self.knots[0], np.linspace(-1, 1, len(KNOTS)))
        return result


@dataclass(frozen=True, eq=False)
class InputFeatures:
    """What a ridge regression sees of an input vector: curves of each input, and products of two.

    Products are of all curves of one input with all of another, if those are no more than `MOST_PRODUCTS`, as of four
    inputs; else of the inputs and their ranks, if those are, as of ten; else of the inputs alone, those first that vary
    most.

    Attributes:
        inputs: the numbers of those that are used, the ones that vary most first.
        mean: of each.
        factor: what brings each to standard deviation 1.
        curves: of each; None where it is a line.
    """

    inputs: Int[np.ndarray, " input"]
    mean: Float[np.ndarray, " input"]
    factor: Float[np.ndarray, " input"]
    curves: Sequence[Curves | None]

    @classmethod
    def of(cls, rows: Shaped[np.ndarray, "step feature"]) -> "InputFeatures":
        """Lay knots by these steps."""
        inputs = most_varying(rows, MOST_CURVED)
        x = rows[:, inputs].astype(np.float64)
        mean, deviation = x.mean(0), x.std(0)
        x = (x - mean) / deviation
        return cls(inputs, mean, 1 / deviation, [Curves.of(each) for each in x.T])

    def __call__(self, rows: Shaped[np.ndarray, "step feature"]) -> Float[np.ndarray, "step made"]:
        """Return the features of some steps."""
        x = (rows[:, self.inputs] - self.mean) * self.factor
        lines = [x[:, k : k + 1] for k in range(x.shape[1])]
        bent = [line if curves is None else curves(line[:, 0]) for line, curves in zip(lines, self.curves)]
        ranked = [
            line if curves is None else np.hstack([line, curves.rank(line)]) for line, curves in zip(lines, self.curves)
        ]
        # Of k numbers there are k (k − 1) / 2 products.
        first = lines[: int(0.5 + np.sqrt(0.25 + 2 * MOST_PRODUCTS))]
        every = (list(combinations(own, 2)) for own in (bent, ranked, first))
        pairs = next(p for p in every if sum(a.shape[1] * b.shape[1] for a, b in p) <= MOST_PRODUCTS)
        products = [np.einsum("na,nb->nab", a, b).reshape(len(x), a.shape[1] * b.shape[1]) for a, b in pairs]
        return np.concatenate([x[:, :0], *bent, *products], axis=1)


def most_varying(rows: Shaped[np.ndarray, "step feature"], most: int) -> Int[np.ndarray, " input"]:
    """Return the numbers of the inputs that vary, those that vary most first, and no more than this."""
    if not len(rows):
        return np.arange(0)
    mean = rows.mean(0, dtype=np.float64)
    variance = np.einsum("nf,nf->f", rows, rows, dtype=np.float64) / len(rows) - mean**2
    varies = rows.max(0) > rows.min(0)
    return np.argsort(-np.where(varies, variance, -np.inf), kind="stable")[: min(int(varies.sum()), most)]


def linear_inputs(rows: Shaped[np.ndarray, "step feature"]) -> Int[np.ndarray, " input"]:
    """Return the numbers of the inputs that a linear prediction sees: all, but for those of too many."""
    return np.arange(rows.shape[1]) if rows.shape[1] <= MOST_LINEAR else most_varying(rows, MOST_LINEAR)
