"""What several tasks are made of, by hand."""

import torch

from lstm_probe.tasks.steps import draw_lengths, padded


def test_lengths_reach_from_the_shortest_to_the_longest(rng):
    assert set(draw_lengths(3, 6, 500, rng).tolist()) == {3, 4, 5, 6}
    assert set(draw_lengths(0, 6, 500, rng).tolist()) == {6}


def test_what_lies_behind_the_end_is_padded_from_the_first_step_on():
    values = torch.arange(1, 9).view(2, 4)
    assert padded(values, torch.tensor([2, 4])).tolist() == [[1, 2, -1, -1], [5, 6, 7, 8]]
