"""The optimiser is PyTorch's own to the last bit, and leaves its compiler alone."""

import copy
import subprocess
import sys

import pytest
import torch

from lstm_probe.core.adam import Adam

ALONE = """
import sys
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.tasks import get_task

task = get_task("parity")
trainer = Trainer(SequenceModel(task.n_inputs, task.n_outputs, 2), task, steps=3)
trainer.fit()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("fused", [False, True])
def test_it_does_what_pytorchs_does_and_goes_on_from_its_state(fused):
    made = []
    for kind in (Adam, torch.optim.Adam):
        torch.manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(4))]
        optimizer = kind(weights, lr=0.1, fused=fused)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=21, cycle_momentum=False)
        for step in range(20):
            optimizer.zero_grad()
            (weights[0] @ weights[1]).square().sum().backward()
            if step == 9:  # as from a checkpoint
                again = copy.deepcopy(optimizer.state_dict())
                optimizer.load_state_dict(again)
            loss = optimizer.step(lambda own=weights: own[1].sum())
            schedule.step()
        made.append([*weights, loss, *optimizer.state[weights[0]].values()])
    assert all(map(torch.equal, *made))


def test_training_does_not_import_the_compiler():
    said = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_no_step_is_part_of_a_graph():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = Adam([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    assert weight.grad_fn is None and weight.is_leaf and optimizer.state[weight]["exp_avg"].grad_fn is None
