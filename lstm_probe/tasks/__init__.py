"""Tasks: sequences whose hidden variables are known at every step."""

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.languages.agreement import Agreement
from lstm_probe.tasks.languages.anbn import AnBn
from lstm_probe.tasks.languages.anbncn import AnBnCn
from lstm_probe.tasks.languages.dyck import Dyck
from lstm_probe.tasks.languages.dyck1 import Dyck1
from lstm_probe.tasks.languages.reber import Reber
from lstm_probe.tasks.languages.shuffle import Shuffle
from lstm_probe.tasks.languages.tomita import Tomita
from lstm_probe.tasks.memory.compose import Compose
from lstm_probe.tasks.memory.copy import Copy
from lstm_probe.tasks.memory.delayed_recall import DelayedRecall
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.memory.noisy_two_sequence import NoisyTwoSequence
from lstm_probe.tasks.memory.recall import Recall
from lstm_probe.tasks.memory.temporal_order import TemporalOrder
from lstm_probe.tasks.memory.tracking import Tracking
from lstm_probe.tasks.numbers.adding import Adding
from lstm_probe.tasks.numbers.delay_timing import DelayTiming
from lstm_probe.tasks.numbers.evidence import Evidence
from lstm_probe.tasks.numbers.heading import Heading
from lstm_probe.tasks.numbers.majority import Majority
from lstm_probe.tasks.numbers.modular_counter import ModularCounter
from lstm_probe.tasks.numbers.multiplication import Multiplication
from lstm_probe.tasks.numbers.parity import Parity
from lstm_probe.tasks.registry import TASKS, complete_task, get_task, list_tasks, register_task, task_class
from lstm_probe.tasks.table.table import Table
from lstm_probe.tasks.text.python_source import PythonSource
from lstm_probe.tasks.text.text import Text

__all__ = [
    "TASKS", "Batch", "Signal", "Target", "Task", "complete_task", "get_task", "list_tasks", "register_task",
    "task_class",
]  # fmt: skip

_RECALL = (FlipFlop, Recall, Copy, DelayedRecall, TemporalOrder, NoisyTwoSequence)
_NUMBERS = (Adding, Multiplication, DelayTiming, Heading)
_COUNTING = (Parity, ModularCounter, Majority, Evidence)
_LANGUAGES = (AnBn, AnBnCn, Dyck1, Shuffle, Dyck, Tomita, Reber)
_TEXTS = (Agreement, Text, PythonSource)

#: Every task of this package, by group. The first is the default.
BUILT_IN = (Tracking, *_RECALL, *_NUMBERS, *_COUNTING, *_LANGUAGES, *_TEXTS, Compose, Table)
TASKS.update({task.name: task for task in BUILT_IN})
