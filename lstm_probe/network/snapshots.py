"""Copies of the weights along a training: after which updates they are made, and the file that holds them."""

import copy
from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor, nn

#: Up to this part of a training, copies are made at about even distances.
EARLY = 100


def updates_to_keep(count: int, steps: int) -> list[int]:
    """Return so many numbers of updates, from 0 to `steps`: dense at first, then each about as much more than the last.

    Fewer where there are not as many; of one, `steps`.

    >>> updates_to_keep(8, 3000), updates_to_keep(4, 2), updates_to_keep(1, 50)
    ([0, 28, 82, 187, 389, 781, 1537, 3000], [0, 1, 2], [50])
    """
    count = min(count, steps + 1)
    if count < 2:
        return [steps] * count
    early = steps / EARLY
    updates = [0]
    for k in range(1, count):
        grown = early * ((1 + EARLY) ** (k / (count - 1)) - 1)
        updates.append(max(round(grown), updates[-1] + 1))
    return updates


def packed(kept: Mapping[int, Mapping[str, Tensor]]) -> bytes:
    """Return copies of weights, by the number of updates, as the bytes of one safetensors file."""
    return save({f"{update}.{name}": values for update, own in kept.items() for name, values in own.items()})


def unpacked(content: bytes, model: nn.Module) -> dict[int, nn.Module]:
    """Return copies of a network, in evaluation mode, with the weights that `packed` put together; the first first."""
    kept: dict[int, dict[str, Tensor]] = {}
    for key, values in load(content).items():
        number, _, name = key.partition(".")
        kept.setdefault(int(number), {})[name] = values
    made: dict[int, nn.Module] = {}
    for update in sorted(kept):
        made[update] = copy.deepcopy(model).eval()
        made[update].load_state_dict(kept[update])
    return made
