"""Adam without what only compiled training needs."""

import inspect
from collections.abc import Callable
from typing import Any

import torch


class Adam(torch.optim.Adam):
    """PyTorch's own Adam, whose methods do not first import PyTorch's compiler.

    PyTorch wraps them so that its compiler passes them over; the wrapper imports it, 840 modules that take as long as
    PyTorch itself. Below the wrappers are the same functions.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    _step = inspect.unwrap(torch.optim.Adam.step)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one update."""
        return self._step(closure)
