"""Recordings seen in another basis: the same memories, spread over all units."""

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.recorder.data import LayerRecording, Recording


def rotation(size: int, seed: int = 0) -> Float[Tensor, "size size"]:
    """Return an orthogonal matrix, float64, drawn uniformly (by the Haar measure) from `seed` alone.

    The Q of a Gaussian matrix's QR decomposition, signed so that R's diagonal is positive (Mezzadri 2007).
    """
    rng = generator(seed, "rotation", size)
    q, r = torch.linalg.qr(torch.randn(size, size, generator=rng, dtype=torch.float64))
    turned: Tensor = q * r.diagonal().sign()
    return turned


def rotate(recording: Recording, seed: int = 0) -> Recording:
    """Return the recording with c and h as one sees them in a random orthogonal basis.

    No LSTM does this: gates work unit by unit, so that a rotated LSTM is none. What is rotated is the basis
    in which one looks. A population carries as much information as before, any linear readout of it included, while
    what single units held is spread over all of them. So a probe of populations must not notice, while a
    probe of units loses whatever was due to the units' own basis. (Ridge is not quite
    a free readout: in the new basis its penalty holds back a memory that is much fainter than the others,
    such as that of a `Counter` of small step.)

    Args:
        recording: with h, c, or both; of every layer and direction each is multiplied by
            `rotation(its width, seed)`, from the right.
        seed: of the rotation.

    Returns:
        A Recording of h and c, as far as they were recorded: in a rotated basis there are no gates.

    Raises:
        InputError: neither h nor c was recorded.
    """
    parts = {}
    for key, part in recording.parts.items():
        kept = [variable for variable in ("h", "c") if variable in part.variables]
        if not kept:
            raise InputError(f"rotate: only {' '.join(part.variables)} recorded; h or c is needed")
        turned: dict[str, Tensor] = {variable: _turned(part[variable], seed) for variable in kept}
        parts[key] = LayerRecording.of(part.layer, part.direction, part.inputs, turned, part.cell)
    return Recording(parts, recording.lengths, recording.config)


def _turned(values: Float[Tensor, "sequence time unit"], seed: int) -> Float[Tensor, "sequence time unit"]:
    by = rotation(values.shape[-1], seed).to(values.device)
    return (values.double() @ by).to(values.dtype)
