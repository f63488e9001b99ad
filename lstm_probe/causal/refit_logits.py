"""Logits refitted by least cross-entropy: a line for each yes or no; for classes, a temperature and their offsets.

Both problems are convex, with two parameters of each output or one more than classes: damped Newton steps solve them.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.target import Target

#: More scored steps than these are not fitted on: so many, spread evenly, settle a dozen parameters.
MOST_STEPS = 4096
#: Weight of half the parameters' squared size, which keeps them finite where classes can be told apart without error.
RIDGE = 1e-7
#: The Newton step that would gain less than this many nats per step is the last, or the one after so many.
GAIN, MOST_ROUNDS = 1e-8, 60


def refit_logits(
    spec: Target, outputs: Float[Tensor, "sequence time size"], values: Tensor, mask: Bool[Tensor, "sequence time"]
) -> Float[Tensor, "sequence time size"]:
    """Return the logits, float64, after the scale and offsets that minimise the cross-entropy on the scored steps.

    "class" and "next_symbol": one scale (1 / temperature) of all logits and an offset for each class; "binary" and
    "multilabel": a slope and an offset of each output. Scales may come out negative, as slopes of a line may. On all
    scored steps the cross-entropy is never above that of the logits as they stand, which are kept otherwise.

    Raises:
        InputError: an output is not finite at a scored step.
    """
    x, y = outputs[mask].double(), values[mask]
    if not bool(torch.isfinite(x.sum())):
        raise InputError(f"An output of the target {spec.name!r} is not a finite number at a scored step.")
    if not len(x):
        return outputs.double()
    chosen = _spread(len(x)).to(x.device) if len(x) > MOST_STEPS else slice(None)
    part = x[chosen]
    middle = part.mean(0)
    z = part - middle
    classes = spec.loss in ("class", "next_symbol")
    size = z.square().mean().sqrt() if classes else z.square().mean(0).sqrt()
    rounding = 8 * torch.finfo(outputs.dtype).eps * (x.square().mean().sqrt() if classes else x.square().mean(0).sqrt())
    size = torch.where(size > rounding, size, math.inf)
    z = z / size
    if classes:
        scale, offsets = _classes(z, y[chosen], torch.isfinite(size) * size, middle)
        before = _softmax(x.T.contiguous(), y)[0]
        after = _softmax((x * (scale / size) + _offset(scale, size, middle, offsets)).T.contiguous(), y)[0]
    else:
        wide = y.reshape(len(y), -1).double()
        scale, offsets = _slopes(z, wide[chosen])
        after = _binary(x * (scale / size) + _offset(scale, size, middle, offsets), wide)
        before = _binary(x, wide)
    keep = after > before
    factor = torch.where(keep, 1.0, scale / size)
    return outputs.double() * factor + torch.where(keep, 0.0, _offset(scale, size, middle, offsets))


def _offset(scale: Tensor, size: Tensor, middle: Tensor, offsets: Tensor) -> Tensor:
    """Return the offsets that go with logits as they stand, from those of logits less their means over their size."""
    return offsets - middle * (scale / size)


def _spread(n: int) -> Tensor:
    """Return numbers of the steps to fit on, one at an uneven place in each of as many equal stretches."""
    k = torch.arange(MOST_STEPS, dtype=torch.float64)
    # Even distances could fall on the same step of every sequence; the golden ratio's multiples do not.
    return ((k + (k * 0.6180339887498949) % 1) * (n / MOST_STEPS)).long().clamp(max=n - 1)


def _softmax(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of logits (class, step), and the classes' probabilities."""
    most = logits.amax(0)
    powers = (logits - most).exp_()
    total = powers.sum(0)
    own = logits.gather(0, y.unsqueeze(0))[0]
    return (total.log() + most - own).mean(), powers.div_(total)


def _binary(logits: Tensor, y: Tensor) -> Tensor:
    return (F.softplus(logits) - y * logits).mean(0)


def _classes(z: Tensor, y: Tensor, size: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and the classes' offsets of least cross-entropy of logits (step, class) of mean 0 and size 1."""
    n, k = z.shape
    z = z.T.contiguous()  # (class, step): sums over classes are then of whole rows
    shares = torch.bincount(y, minlength=k).double() / n
    own = z.gather(0, y.unsqueeze(0)).mean()
    constant = torch.cat([z.new_zeros(1), (shares + 0.5 / n).log() - (shares + 0.5 / n).log().mean()])
    stand = torch.cat([size.reshape(1), middle - middle.mean()])

    def cost(theta: Tensor) -> tuple[float, Tensor]:
        value, p = _softmax(torch.addcmul(theta[1:].unsqueeze(1), z, theta[0]), y)
        return float(value + RIDGE / 2 * theta.square().sum()), p

    value, p, theta = min(((*cost(start), start) for start in (constant, stand)), key=lambda found: found[0])
    for _ in range(MOST_ROUNDS):
        pz = p * z
        inner = pz.sum(0)
        mean_p = p.mean(1)
        gradient = torch.cat([(inner.mean() - own).reshape(1), mean_p - shares]) + RIDGE * theta
        curve = z.new_zeros(k + 1, k + 1)
        curve[0, 0] = (torch.linalg.vecdot(pz.flatten(), z.flatten()) - inner.square().sum()) / n
        curve[0, 1:] = curve[1:, 0] = pz.mean(1) - p @ inner / n
        curve[1:, 1:] = torch.diag(mean_p) - p @ p.T / n
        step = torch.linalg.solve(curve + RIDGE * torch.eye(k + 1, dtype=z.dtype, device=z.device), gradient)
        gain, length = float(gradient @ step), 1.0
        if gain < GAIN:
            theta = theta - step
            break
        new, new_p = cost(theta - step)
        while new > value - 1e-4 * length * gain and length > 1e-6:
            length /= 2
            new, new_p = cost(theta - length * step)
        if new >= value:
            break
        theta, value, p = theta - length * step, new, new_p
    return theta[0], theta[1:]


def _slopes(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slope and offset of least cross-entropy of each output, of logits (step, output) of mean 0, size 1."""
    shares, own = y.mean(0), (y * z).mean(0)
    a, b = torch.zeros_like(shares), torch.logit(shares.clamp(0.5 / len(y), 1 - 0.5 / len(y)))

    def cost(a: Tensor, b: Tensor) -> Tensor:
        return F.softplus(z * a + b).mean(0) - own * a - shares * b + RIDGE / 2 * (a.square() + b.square())

    value = cost(a, b)
    for _ in range(MOST_ROUNDS):
        p = torch.sigmoid(z * a + b)
        pz, curve = p * z, p * (1 - p)
        to_a, to_b = pz.mean(0) - own + RIDGE * a, p.mean(0) - shares + RIDGE * b
        curved = curve * z
        aa, ab, bb = (curved * z).mean(0) + RIDGE, curved.mean(0), curve.mean(0) + RIDGE
        det = aa * bb - ab.square()
        step_a, step_b = (bb * to_a - ab * to_b) / det, (aa * to_b - ab * to_a) / det
        gain, length = to_a * step_a + to_b * step_b, torch.ones_like(a)
        if float(gain.max()) < GAIN:
            a, b = a - step_a, b - step_b
            break
        new = cost(a - step_a, b - step_b)
        for _ in range(20):
            short = ~(new <= value - 1e-4 * length * gain) & (gain >= GAIN)
            if not bool(short.any()):
                break
            length = torch.where(short, length / 2, length)
            new = cost(a - length * step_a, b - length * step_b)
        length = torch.where(new < value, length, 0.0)
        if not bool(length.any()):
            break
        a, b, value = a - length * step_a, b - length * step_b, torch.minimum(new, value)
    return a, b
