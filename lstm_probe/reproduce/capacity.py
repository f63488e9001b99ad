"""How much fits in: numbers held by units, classes in dimensions, labels in parameters."""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.core.adam import Adam
from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.dynamics.dimension import participation_ratio
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import evaluate
from lstm_probe.recorder import record
from lstm_probe.reproduce.networks import other_lengths, settings, trained

TEST = 2000  # sequences
RECALL_UNITS = (2, 4, 6, 7, 8)
CLASSES = (2, 3, 4, 5)
#: A principal component of less than this share of the variance is none.
LEAST_SHARE = 0.01
#: Units, inputs and steps of the network that memorises, labels for each parameter, and updates.
BITS_UNITS, BITS_INPUTS, BITS_STEPS, LABELS, UPDATES, BITS_LR = 8, 4, 5, 3, 5000, 0.03


def recall(seed: int) -> Mapping[str, float]:
    """Eight numbers in networks of fewer and of as many units."""
    values = {}
    for units in RECALL_UNITS:
        net = trained("recall", seed, units=units)
        values[f"mse_{units}"] = 1 - evaluate(net.model, other_lengths(net.task, TEST, seed))["recall"]
    return values


def evidence(seed: int) -> Mapping[str, float]:
    """How many dimensions the memory of networks moves in that weigh evidence for several classes."""
    values: dict[str, float] = {}
    accuracies = []
    for n in CLASSES:
        net = trained("evidence", seed, task={**settings("evidence").task, "classes": n})
        batch = other_lengths(net.task, TEST, seed)
        rec = record(net.model.lstm, batch.inputs, lengths=batch.lengths, variables=["c"])
        c = rec.c[rec.mask].double().numpy()
        variances = principal_variances(c)
        values[f"dimensions_{n}"] = before_the_drop(variances)
        values[f"share_{n}"] = float(variances[: n - 1].sum())
        values[f"ratio_{n}"] = participation_ratio(c)
        with torch.no_grad():
            right = net.model(batch.inputs).argmax(-1) == batch.targets["class"]
        accuracies.append(float(right[batch.scored_steps("class")].double().mean()))
    return {"accuracy": min(accuracies), **values}


def principal_variances(values: Float[np.ndarray, "sample unit"]) -> Float[np.ndarray, " component"]:
    """Return the share of the variance in each principal component, the largest first."""
    variances = np.linalg.eigvalsh(np.cov(values, rowvar=False))[::-1]
    shares: np.ndarray = variances / variances.sum()
    return shares


def before_the_drop(shares: Float[np.ndarray, " component"]) -> int:
    """Return how many components come before the largest drop from one to the next, among those of 1 % or more.

    >>> before_the_drop(np.array([0.4, 0.3, 0.2, 0.05, 0.04, 0.01, 0.0]))
    3
    """
    worth = int((shares >= LEAST_SHARE).sum())
    following = np.append(shares, 0.0)[1 : worth + 1]
    return int(np.argmax(shares[:worth] / np.maximum(following, LEAST_SHARE))) + 1


def bits_told(right: int, labels: int) -> float:
    """Return the fewest bits that can get so many of these labels right, where each is one or the other by chance.

    It is n (1 − H(p)), the rate-distortion function of a fair coin: however a network stores them, that much of the
    labels is in it.

    >>> bits_told(100, 100), bits_told(50, 100), round(bits_told(89, 100), 1)
    (100.0, 0.0, 50.0)
    """
    p = right / labels
    return labels + sum(labels * x * math.log2(x) for x in (p, 1 - p) if x > 0)


def bits(seed: int) -> Mapping[str, float]:
    """Memorise random labels of random sequences, and count what the network then tells of them."""
    model = SequenceModel(BITS_INPUTS, 1, BITS_UNITS, seed=derive_seed(seed, "weights"))
    # The two biases of a gate are added, so they are one number.
    count = sum(weights.numel() for name, weights in model.named_parameters() if "bias_hh" not in name)
    n = LABELS * count
    rng = generator(seed, "reproduce bits")
    (inputs, labels), fresh = ((torch.randn(n, BITS_STEPS, BITS_INPUTS, generator=rng),
                                torch.randint(2, (n,), generator=rng).float()) for _ in range(2))  # fmt: skip
    memorise(model, inputs, labels)
    right, of_fresh = (answers_right(model, *data) for data in ((inputs, labels), fresh))
    return {"bits": bits_told(right, n) / count, "right": right / n, "fresh": bits_told(of_fresh, n) / count}


def memorise(model: SequenceModel, inputs: Float[Tensor, "sequence time feature"], labels: Tensor) -> None:
    """Train a network on all of these sequences at once, to say each one's label at its last step."""
    optimizer = Adam(model.parameters(), lr=BITS_LR, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, BITS_LR, total_steps=UPDATES + 1, cycle_momentum=False)
    with torch.enable_grad():
        for _ in range(UPDATES):
            loss = F.binary_cross_entropy_with_logits(model(inputs)[:, -1, 0], labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


@torch.no_grad()
def answers_right(model: SequenceModel, inputs: Float[Tensor, "sequence time feature"], labels: Tensor) -> int:
    """Return how many labels a network's outputs at the last step get right."""
    return int(((model(inputs)[:, -1, 0] > 0) == (labels > 0.5)).sum())
