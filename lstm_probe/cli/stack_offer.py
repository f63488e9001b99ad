"""Offers a stack where a sweep has many seeds of small networks, and a stack is known to be faster."""

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from lstm_probe.cli.local import TARGET, cores
from lstm_probe.network.settings import stack_gain

#: A smaller gain is not worth a word.
LEAST_GAIN = 1.5


def stack_offer(overrides: Sequence[str], composed: Any) -> str | None:
    """Return one line that tells of a stack; None where there is nothing to offer.

    The cores that a sweep has are used all the same: its seeds are cut into as many stacks as are needed for that.

    Args:
        overrides: of a sweep of `train`.
        composed: its configuration.
    """
    if not composed.hydra.sweeper._target_.endswith(".BasicSweeper"):
        return None  # what others try is not known before
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    swept = {one.key_or_group: list(one.sweep_string_iterator()) for one in parsed if one.is_sweep_override()}
    seeds = sorted(int(text) for text in swept.pop("seed", []) if text.isdecimal())
    units = [int(text) for text in swept.get("units", [str(composed.get("units"))]) if text.isdecimal()]
    if (
        composed.get("stack")
        or composed.get("cell", "lstm") != "lstm"
        or "cell" in swept
        or composed.get("device", "cpu") != "cpu"
        or not _side_by_side(composed)
    ):
        return None
    if not units or len(seeds) < 2 or seeds != list(range(seeds[0], seeds[0] + len(seeds))):
        return None
    others = prod(map(len, swept.values()))
    side_by_side = _side_by_side(composed)
    stacks = min(len(seeds), ceil(side_by_side / others))
    each = len(seeds) // stacks if len(seeds) % stacks == 0 else len(seeds)
    gains = {size: stack_gain(size, each) for size in units}
    small = [size for size, gain in gains.items() if gain >= LEAST_GAIN]
    if not small:
        return None
    starts = ",".join(str(seed) for seed in seeds[::each])
    sizes = f" networks of up to {max(small)} units" if len(small) < len(units) else " them"
    gain = min(gains[size] for size in small)
    return f"seed={starts} stack={each} trains{sizes} about {gain:.2g} times faster."


def _side_by_side(composed: Any) -> int:
    """Return how many jobs a sweep runs at a time on this machine; 0 where another does."""
    launcher = composed.hydra.launcher
    if launcher._target_ == TARGET:
        return int(launcher.get("jobs") or cores())
    return int(launcher._target_.endswith(".BasicLauncher"))
