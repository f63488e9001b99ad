"""a^n b^n c^n: count the a's and give them out twice."""

from dataclasses import dataclass

from lstm_probe.tasks.base import Smallest
from lstm_probe.tasks.languages.anbn import AnBn


@dataclass(frozen=True)
class AnBnCn(AnBn):
    """Read a start symbol and a^n b^n c^n, and say after each symbol which may come next, the end among them.

    As in a^n b^n; while the b's are counted down against the a's, they must be counted up for the c's, so no
    stack will do (Gers & Schmidhuber 2001).

    >>> import torch
    >>> batch = AnBnCn().batch(torch.tensor([2]))
    >>> [" ".join(s for s, on in zip("abc.", row) if on) for row in batch.targets["legal"][0]]
    ['a', 'a b', 'a b', 'b', 'c', 'c', '.']
    """

    name = "anbncn"
    summary = "as many b's and c's as a's: two counters at once"
    smallest = Smallest(2, 2.4, 2, 2)
    letters = "abc"
