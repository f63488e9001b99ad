"""What a module returned, beside what its kernel computed: the same h, in whatever form, or nothing is recorded."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_probe.recorder.agreement import allowed
from lstm_probe.recorder.kernel import States


@dataclass(frozen=True)
class Shown:
    """What a kernel computed that its module may return.

    Attributes:
        h: (sequence, time, output), directions side by side, of the top layer.
        lengths: of packed sequences; else None.
        last: the state of every layer and direction after its last step, h first.
        directions: one or two.
        batch_first: the module's own layout.
    """

    h: Tensor
    lengths: Tensor | None
    last: States
    directions: int
    batch_first: bool

    def __getitem__(self, rows: Tensor) -> "Shown":
        """Return the sequences in another order."""
        lengths = None if self.lengths is None else self.lengths[rows]
        last = tuple(one[:, rows] for one in self.last)
        return Shown(self.h[rows], lengths, last, self.directions, self.batch_first)

    @property
    def last_h(self) -> Tensor:
        """Return the top layer's last h, (sequence, output), directions side by side."""
        return torch.cat(list(self.last[0][-self.directions :]), dim=-1)

    def forms(self, result: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Return, for each way to understand what the module returned, it and its like: (sequence, ...) both."""
        value = result[0] if isinstance(result, tuple | list) and not isinstance(result, PackedSequence) else result
        if isinstance(value, PackedSequence):
            value, batch_first = pad_packed_sequence(value, batch_first=True)[0], True
        else:
            batch_first = self.batch_first
        if not isinstance(value, Tensor):
            return
        value = value.detach()
        n, time, width = self.h.shape
        if value.shape == (time, width) and n == 1:
            yield value.unsqueeze(0), self.h
        if value.dim() == 3:
            for own in (batch_first, not batch_first):
                rows = value if own else value.transpose(0, 1)
                if rows.shape[0] == n and rows.shape[1] >= time and rows.shape[2] == width:
                    yield rows[:, :time], self.h
            if value.shape == self.last[0].shape:
                yield value.transpose(0, 1), self.last[0].transpose(0, 1)
        if value.shape == (n, width):
            yield value, self.last_h

    def difference(self, result: Any) -> tuple[float, int] | None:
        """Return the largest difference at a real step and the first step with more than is allowed.

        The step is -1 where there is none. None where what was returned is neither h of every step nor the last h.
        """
        best: tuple[float, int] | None = None
        for value, own in self.forms(result):
            apart = (value - own).abs().flatten(2 if own is self.h else 1).amax(-1)
            if own is self.h and self.lengths is not None:
                beyond = torch.arange(apart.shape[1], device=apart.device) >= self.lengths.unsqueeze(1)
                apart = apart.masked_fill(beyond, 0)
            worst = float(apart.amax())
            wrong = ~(apart <= allowed(own, float(own.abs().amax())))
            step = -1
            if bool(wrong.any()):
                step = int(torch.nonzero(wrong.any(0))[0]) if own is self.h else self.h.shape[1] - 1
            if best is None or step == -1:
                best = worst, step
            if step == -1:
                break
        return best

    def order_of(self, given: Any, result: Any) -> Tensor | None:
        """Return which of the kernel's sequences stands where for the caller, None where they stand alike.

        Packed sequences say so; where the module packs inside, its result is looked up among the kernel's.
        """
        value = result[0] if isinstance(result, tuple) and not isinstance(result, PackedSequence) else result
        for packed in (given, value):
            if isinstance(packed, PackedSequence):
                return packed.unsorted_indices
        for returned, own in self.forms(result):
            found = self._matched(returned, own)
            if found is not None:
                return torch.tensor(found, device=own.device)
        return None

    def _matched(self, returned: Tensor, own: Tensor) -> list[int] | None:
        """Return which of the kernel's sequences each returned one is, None unless each is one of its own."""
        every_step = own is self.h and self.lengths is not None
        lengths = self.lengths.tolist() if every_step and self.lengths is not None else [own.shape[1]] * len(own)
        keys = [rows[:, 0] if every_step else rows.flatten(1) for rows in (own, returned)]
        places = defaultdict(list)
        for k, row in enumerate(_bytes(keys[0])):  # the longest first: a short one may be how a long one begins
            places[row].append(k)
        found = []
        for j, row in enumerate(_bytes(keys[1])):
            fits = (k for k in places[row] if torch.equal(returned[j, : lengths[k]], own[k, : lengths[k]]))
            fitting = next(fits, None)
            if fitting is None:
                return None
            places[row].remove(fitting)
            found.append(fitting)
        return found


def _bytes(rows: Tensor) -> list[bytes]:
    wide = rows.detach().cpu().double()
    return [row.tobytes() for row in wide.numpy()]
