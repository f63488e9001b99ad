"""One seed in, everything follows: independent streams are derived by name, never by adding numbers."""

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed that depends on `seed` and on every word of `purpose`.

    >>> derive_seed(0, "data", 1) == derive_seed(0, "data", 1) != derive_seed(0, "data", 2)
    True
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator seeded with `derive_seed(seed, *purpose)`."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def part_of(n: int, count: int, purpose: str) -> torch.Tensor:
    """Return the numbers of `count` of `n` things in their order, always the same ones; of all where there are fewer.

    They are drawn: where two kinds of things take turns, every second one is of one kind.

    >>> part_of(3, 5, "a doctest").tolist(), len(part_of(300, 5, "a doctest"))
    ([0, 1, 2], 5)
    """
    return torch.randperm(n, generator=generator(0, purpose))[:count].sort().values


def seed_torch(seed: int) -> None:
    """Seed PyTorch's generator of the device on which it makes tensors.

    Of the processor's alone: `torch.manual_seed` notes for other devices where it was called from, which takes ten
    times as long as a small network does.
    """
    if torch.get_default_device().type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
