"""Streams of random numbers: one seed in, and no two purposes share a number."""

import torch

from lstm_probe.core.seeding import derive_seed, generator


def test_no_two_seeds_or_purposes_share_a_stream():
    words = [("a",), ("b",), ("ab",), ("a", "b"), ("b", "a"), ("a1",)]
    purposes = [(), *words, ("a", 1), ("a", 2), (1, "a"), (1, 2), (12,)]
    seeds = [derive_seed(seed, *purpose) for seed in range(200) for purpose in purposes]
    assert len(set(seeds)) == len(seeds)


def test_seeds_are_large_and_fit_every_generator():
    """PyTorch and NumPy take 63 bits without a sign; all of them are used."""
    seeds = [derive_seed(seed, "data") for seed in range(500)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    for bit in range(63):
        assert 0.35 < sum(seed >> bit & 1 for seed in seeds) / len(seeds) < 0.65


def test_a_stream_is_a_function_of_its_seed_alone():
    torch.manual_seed(1)
    one = torch.rand(5, generator=generator(3, "data"))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(one, torch.rand(5, generator=generator(3, "data")))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one, torch.rand(5, generator=generator(4, "data")))
