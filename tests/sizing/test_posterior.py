"""The posterior of the smallest size: against a plain loop over its laws, and against laws that are known."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from lstm_probe.sizing.posterior import Posterior
from lstm_probe.sizing.search import narrow

OUTCOMES = [(3, False), (6, True), (4, True), (4, False), (6, True), (1, False)]


def plain_laws(smallest, largest):
    """Every law by itself: its probability, and how often each size solves the task."""
    low, high = math.log2(smallest) - 1, math.log2(largest) + 0.5
    sizes = range(smallest, largest + 1)
    edges = sorted({*(low + (high - low) * k / 90 for k in range(91)), *map(math.log2, sizes)})
    edges = [edge for edge, before in zip(edges, [-9.0, *edges]) if edge - before > 1e-12]
    laws = []
    for left, right in pairwise(edges):
        for s in (0.01, 0.03, 0.1, 0.25, 0.5, 1.0):
            for lapse, weight in ((0.01, 1), (0.05, 1), (0.15, 0.5), (0.3, 0.25), (0.45, 0.12), (0.65, 0.12)):
                rise = NormalDist((left + right) / 2, s)
                solves = {u: 0.005 + (0.995 - lapse) * rise.cdf(math.log2(u)) for u in sizes}
                laws.append([(right - left) * weight, solves])
    return laws


def plain_answers(laws, largest):
    total = sum(weight for weight, _ in laws)
    found = dict.fromkeys(range(1, largest + 2), 0.0)
    for weight, solves in laws:
        found[next((u for u, p in solves.items() if p >= 0.5), largest + 1)] += weight / total
    return found


def seen(laws, units, solved):
    return [[weight * (solves[units] if solved else 1 - solves[units]), solves] for weight, solves in laws]


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


@pytest.mark.parametrize("outcomes", [[], OUTCOMES[:2], OUTCOMES])
def test_the_posterior_is_what_a_loop_over_all_laws_says(outcomes):
    largest = 9
    ours, laws = Posterior(1, largest, outcomes), plain_laws(1, largest)
    for units, solved in outcomes:
        laws = seen(laws, units, solved)
    plain = plain_answers(laws, largest)
    assert ours.probabilities() == pytest.approx(plain, abs=1e-9)
    total, quantiles = 0.0, []
    for answer, p in plain.items():
        quantiles += [answer for q in (0.025, 0.5, 0.975) if total < q <= total + p]
        total += p
    assert ours.interval() == (quantiles[1], quantiles[0], quantiles[2])
    weights, curve, expected = sum(weight for weight, _ in laws), ours.curve(), []
    for units in range(1, largest + 1):
        solves = sum(weight * law[units] for weight, law in laws) / weights
        expected.append(sum(p * entropy(plain_answers(seen(laws, units, solved), largest).values())
                            for p, solved in ((solves, True), (1 - solves, False))))  # fmt: skip
        mean, lower, upper = curve[:, units - 1]
        assert mean == pytest.approx(solves)
        below = sum(weight for weight, law in laws if law[units] <= lower + 1e-12)
        above = sum(weight for weight, law in laws if law[units] >= upper - 1e-12)
        assert below / weights >= 0.025 - 1e-9 and above / weights >= 0.025 - 1e-9
    assert ours.entropies() == pytest.approx(expected, abs=1e-9)
    assert ours.best_next() == 1 + int(np.argmin(np.round(expected, 9)))


def test_the_order_of_outcomes_does_not_matter_and_every_size_can_be_the_answer():
    one, other = Posterior(1, 12, OUTCOMES), Posterior(1, 12, OUTCOMES[::-1])
    assert one.probabilities() == pytest.approx(other.probabilities())
    for smallest, largest in ((1, 64), (5, 40), (1, 200), (7, 7)):
        assert list(Posterior(smallest, largest).probabilities()) == list(range(smallest, largest + 2))


def search(law, rng, largest=64, budget=25):
    """Search as `size` does, with outcomes drawn by a law: how often each size solves the task."""
    posterior, trained = Posterior(1, largest), 0
    while not narrow(posterior, trained) and trained < budget:
        units = posterior.best_next()
        posterior.see(units, bool(rng.random() < law(units)))
        trained += 1
    return *posterior.interval(), trained


def soft(middle, octaves):
    return lambda units: NormalDist(math.log2(middle), octaves).cdf(math.log2(units))


LAWS = {
    "step at 4": (lambda u: float(u >= 4), 4, 16),
    "step at 8": (lambda u: float(u >= 8), 8, 16),
    "step at 20": (lambda u: float(u >= 20), 20, 16),
    "soft at 6": (soft(6, 0.25), 6, 25),
    "soft at 20": (soft(20, 0.5), 20, 25),
    "step at 8, a fifth fails": (lambda u: 0.8 * (u >= 8), 8, 25),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_interval_covers_the_truth(name):
    law, truth, most = LAWS[name]
    rng = np.random.default_rng(1)
    found = [search(law, rng) for _ in range(40 if most > 16 else 2)]  # a step leaves nothing to chance
    assert np.mean([low <= truth <= high for _, low, high, _ in found]) >= 0.93
    assert max(trained for *_, trained in found) <= most
    if most == 16:
        assert {median for median, *_ in found} == {truth}


def test_what_nothing_solves_is_beyond_the_largest_and_costs_few_trainings():
    median, low, high, trained = search(lambda _: 0.0, np.random.default_rng(0))
    assert (median, high) == (65, 65) and low > 48 and trained <= 10
    seldom = [search(lambda u: 0.3 * (u >= 8), np.random.default_rng(k)) for k in range(20)]
    assert np.mean([high == 65 for _, _, high, _ in seldom]) >= 0.9


def test_a_narrow_interval_takes_four_trainings():
    sure = Posterior(1, 64, [(1, True)] * 9)
    assert sure.interval() == (1, 1, 1)
    assert narrow(sure, 4) and not narrow(sure, 3)
