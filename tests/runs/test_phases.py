"""Seconds of phases, and what is said where the memory is not enough."""

import errno

import numpy as np
import pyarrow as pa
import pytest
import torch

from lstm_probe.runs.phases import NotEnoughMemoryError, Phases, enough_memory, out_of_memory

CPU = "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: tried to allocate 9"
NONE_LEFT = [
    MemoryError(), MemoryError("Unable to allocate 9 GiB"), pa.ArrowMemoryError("malloc of size 9 failed"),
    np._core._exceptions._ArrayMemoryError((9,), np.dtype(float)), RuntimeError(CPU),
    RuntimeError("CUDA error: out of memory"), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]  # fmt: skip
OTHERS = [RuntimeError("shapes do not fit"), ValueError("out of memory"), OSError(errno.ENOSPC, "full"), KeyError("a")]


@pytest.mark.parametrize("error", NONE_LEFT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("phase", "what"),
    [
        ("train", "; lower batch, units or the length"),
        ("report", "$"),
        ("probe", "; lower probe.sequences, probe.vari"),
    ],
)
def test_it_is_said_what_takes_less_memory(error, phase, what):
    gpu = " of the GPU" if "CUDA" in str(error) else ""
    expected = rf"^the memory{gpu} is not enough to {phase}{what}"
    with pytest.raises(NotEnoughMemoryError, match=expected) as found, enough_memory(phase):
        raise error
    assert found.value.__cause__ is error


def test_really():
    with pytest.raises(NotEnoughMemoryError), Phases()("probe", ""):
        torch.empty(2**55)
    with pytest.raises(NotEnoughMemoryError), Phases()("probe", ""):
        np.empty(2**55)


@pytest.mark.parametrize("error", [*OTHERS, KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_other_errors_are_what_they_were(error):
    assert not out_of_memory(error)
    with pytest.raises(type(error)) as found, Phases()("probe", ""):
        raise error
    assert found.value is error


def test_seconds_add_up_in_the_order_in_which_phases_came():
    phases = Phases({"train": 1.5})
    phases.add("probe", 2.0)
    phases.add("train", 0.25)
    with phases("probe", ""):
        pass
    assert list(phases.seconds) == ["train", "probe"]
    assert phases.seconds["train"] == 1.75 and phases.seconds["probe"] >= 2.0
