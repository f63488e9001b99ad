"""LSTMs, batches and folders that the tests of recordings on disk share."""

import torch
from torch import nn

import lstm_probe as lp

DEEP = {"num_layers": 2, "bidirectional": True, "proj_size": 3}


def lstm(seed=0, **options):
    torch.manual_seed(seed)
    return nn.LSTM(7, 5, batch_first=True, **options)


def batches(n=4, sequences=6):
    task = lp.get_task("tracking")
    return [task.sample(sequences, seed=k) for k in range(n)]


def tensors(*shapes):
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, 7, generator=rng) for shape in shapes]


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}
