#!/usr/bin/env python
"""Search for sizes that are known: how often the interval of `size` holds the truth, and what a search takes.

    python scripts/coverage.py                      200 searches for each law
    python scripts/coverage.py --searches 1000      more of them

A law says how often a training of each size solves the task; no network is trained. Three laws are steps, where every
training from some size on solves the task and none below; two rise over several sizes; in one a fifth of the trainings
fail whatever their size; one is solved by nothing, and one seldom. The truth is the smallest size of up to 64 that half
of the trainings solve.
"""

import argparse
import math
from collections.abc import Callable
from statistics import NormalDist, mean

import numpy as np

from lstm_probe.sizing.posterior import Posterior
from lstm_probe.sizing.search import narrow

LARGEST, BUDGET = 64, 25
Law = Callable[[int], float]


def step(at: int, share: float = 1.0) -> Law:
    """Return the law of which a share of the trainings solves the task from a size on."""
    return lambda units: share * (units >= at)


def soft(middle: int, octaves: float) -> Law:
    """Return the law that is a half at one size and rises over several."""
    rise = NormalDist(math.log2(middle), octaves)
    return lambda units: rise.cdf(math.log2(units))


#: By name: how often each size solves the task, and the truth.
LAWS: dict[str, tuple[Law, int]] = {
    "step at 4": (step(4), 4),
    "step at 8": (step(8), 8),
    "step at 20": (step(20), 20),
    "half at 6, sd 0.25 octaves": (soft(6, 0.25), 6),
    "half at 20, sd 0.5 octaves": (soft(20, 0.5), 20),
    "0.8 from 8 on": (step(8, 0.8), 8),
    "never": (step(LARGEST + 1), LARGEST + 1),
    "0.3 from 8 on": (step(8, 0.3), LARGEST + 1),
}


def search(law: Law, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the median, the interval and the trainings of a search in which outcomes are drawn by a law."""
    posterior, trained = Posterior(1, LARGEST), 0
    while not narrow(posterior, trained) and trained < BUDGET:
        units = posterior.best_next()
        posterior.see(units, bool(rng.random() < law(units)))
        trained += 1
    return *posterior.interval(), trained


def main() -> None:
    """Read the command line, search, and print a line for each law."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=200, help="for each law (default 200)")
    arguments = parser.parse_args()
    print(f"{'law':28}  covers  exact  width  trainings")
    for name, (law, truth) in LAWS.items():
        found = [search(law, np.random.default_rng([k, len(name)])) for k in range(arguments.searches)]
        covers = mean(low <= truth <= high for _, low, high, _ in found)
        exact = mean(median == truth for median, *_ in found)
        width = mean(high - low for _, low, high, _ in found)
        print(f"{name:28}  {covers:6.3f}  {exact:5.2f}  {width:5.1f}  {mean(n for *_, n in found):9.1f}", flush=True)


if __name__ == "__main__":
    main()
