"""Counting: brackets, a^n b^n and a^n b^n c^n."""

from collections.abc import Mapping

import torch

from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.training import evaluate
from lstm_probe.reproduce.networks import Trained, best_units, other_lengths, settings, trained
from lstm_probe.tasks.languages.anbn import AnBn

TEST, PROBED = 500, 400  # sequences
LONG = {"min_length": 52, "max_length": 100}
LARGEST_N, FEW = 256, 64


def brackets(key: str, seed: int, depths: tuple[str, ...]) -> dict[str, float]:
    """Return the share of strings right at every step, and how well the best unit's c and h predict each depth."""
    net = trained(key, seed)
    short = net.task.sample(TEST, derive_seed(seed, "reproduce short"))
    probed = net.task.sample(PROBED, derive_seed(seed, "reproduce probe"))
    scores = best_units(net.model, probed, depths, seed)
    return {
        "long": evaluate(net.model, other_lengths(net.task, TEST, seed, **LONG))["legal"],
        "short": evaluate(net.model, short)["legal"],
        "c_r2": min(scores["c", depth] for depth in depths),
        "h_r2": min(scores["h", depth] for depth in depths),
    }


def dyck1(seed: int) -> Mapping[str, float]:
    """One unit counts brackets."""
    return brackets("dyck1", seed, ("depth",))


def shuffle2(seed: int) -> Mapping[str, float]:
    """Four units count two kinds of brackets."""
    return brackets("shuffle2", seed, ("depth0", "depth1"))


@torch.no_grad()
def first_failure(net: Trained, largest: int = LARGEST_N) -> int:
    """Return the smallest n whose string is not right at every step; `largest` + 1 where all are."""
    task: AnBn = net.task  # type: ignore[assignment]  # the experiments' own
    for n in range(1, largest + 1):
        if evaluate(net.model, task.batch(torch.tensor([n])))["legal"] < 1:
            return n
    return largest + 1


def powers(key: str, seed: int, counters: tuple[str, ...]) -> dict[str, float]:
    """Return where a^n b^n ... first fails, and how well the best unit's c and h predict the counters."""
    net = trained(key, seed)
    scores = best_units(net.model, net.task.sample(PROBED, derive_seed(seed, "reproduce probe")), counters, seed)
    return {
        "first_failure": first_failure(net),
        "c_r2": max(scores["c", counter] for counter in counters),
        "h_r2": max(scores["h", counter] for counter in counters),
    }


def fewest(seed: int) -> Mapping[str, float]:
    """Two units for three letters; one and two for two."""
    letters = {**settings("anbn").task, "max_n": 12}
    pairs = {units: trained("fewest", seed, task=letters, units=units) for units in (1, 2)}
    return {
        "anbncn_2": first_failure(trained("fewest", seed), FEW),
        **{f"anbn_{units}": first_failure(net, FEW) for units, net in pairs.items()},
    }


def anbn(seed: int) -> Mapping[str, float]:
    """As many b's as a's."""
    return powers("anbn", seed, ("a_minus_b",))


def anbncn(seed: int) -> Mapping[str, float]:
    """As many b's and c's as a's."""
    return powers("anbncn", seed, ("a_minus_b", "a_minus_c", "b_minus_c"))
