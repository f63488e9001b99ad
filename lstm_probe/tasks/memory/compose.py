"""Several tasks side by side in one network."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
import yaml
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.registry import get_task, task_class


def read_part(part: str) -> tuple[str, dict[str, Any]]:
    """Return the task's name and the parameters in a text such as "parity:length=20,rate=0.2".

    Raises:
        InputError: it is not written so.
    """
    name, colon, rest = part.partition(":")
    given = {}
    for item in rest.split(",") if colon else []:
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not (key and equals and value):
            raise InputError(f"task.parts: {part!r}: write a part with parameters as in 'parity:length=20,rate=0.2'.")
        try:
            given[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            given[key] = value
    return name.strip(), given


def together(groups: Sequence[Int[Tensor, " sequence"]]) -> Int[Tensor, " sequence"] | None:
    """Return groups of sequences that some of several groupings put together, if only by way of others.

    >>> together([torch.tensor([0, 0, 1, 2, 3]), torch.tensor([5, 6, 6, 7, 8])]).tolist()
    [0, 0, 0, 3, 4]
    """
    if not groups:
        return None
    own, before = torch.arange(len(groups[0])), None
    while before is None or not torch.equal(own, before):
        before = own
        for one in groups:
            _, which = one.unique(return_inverse=True)
            own = torch.zeros_like(own).scatter_reduce(0, which, own, "amin", include_self=False)[which]
    return own


def make_part(part: str, length: int | None = None) -> Task:
    """Return one of the tasks.

    Args:
        part: its name and perhaps parameters.
        length: how long its sequences are to be, if it has the parameter `length` and it is not given.
    """

    name, given = read_part(part)
    if name == Compose.name:
        raise InputError(f"task.parts: {part}: a composition cannot be a part of one.")
    known = {f.name for f in fields(task_class(name))}  # type: ignore[arg-type]  # every task is a dataclass
    if length is not None and "length" not in given and "length" in known:
        given["length"] = length
    return get_task(name, **given)


def with_content(part: str, task: Task) -> str:
    """Return how a part is written, with its file's full path and digest if it reads one: so a run recognises it."""
    path, content = getattr(task, "path", None), getattr(task, "content", None)
    if path is None or content is None:
        return part
    name, given = read_part(part)
    given |= {"content": content} | ({} if "," in path else {"path": path})
    written = (f"{key}={'null' if value is None else value}" for key, value in given.items())
    return f"{name}:{','.join(written)}"


@dataclass(frozen=True)
class Compose(Task):
    """Do several tasks at once, each with inputs and outputs of its own, in one network.

    Inputs stand side by side; names of targets and signals have the part's name before them. Parts whose length is
    a parameter are all as long as the shortest of them, unless their length is given. Where lengths are drawn, a
    sequence ends with the part that ends first.

    >>> task = Compose(["flipflop:bits=1", "parity"])
    >>> task.input_names
    ('flipflop.pulse0', 'parity.bit')
    >>> batch = task.sample(2, seed=0)
    >>> list(batch.targets), tuple(batch.inputs.shape)
    (['flipflop.bit0', 'parity.parity'], (2, 20, 2))
    """

    name = "compose"
    summary = "several tasks at once in one network"
    source = "this project"
    smallest = Smallest(6, 2.6, 5, 7)

    parts: list[str] = parameter(  # noqa: RUF009  a list is copied for every object
        ["flipflop", "parity"],
        "the tasks, with parameters as in 'parity:length=20'",
        example="[flipflop,'parity:length=20']",
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        problems = []
        for part in self.parts:
            try:
                make_part(part)
            except InputError as error:
                problems += [
                    line if line.startswith("task.parts") else f"task.parts: {part}: {line.removeprefix('task.')}"
                    for line in error.problems
                ]
        if problems:
            raise InputError(*problems)
        object.__setattr__(self, "parts", list(map(with_content, self.parts, self.tasks.values())))

    @property
    def attainable(self) -> bool:
        """Return whether a score of 1 can be reached in every part."""
        return all(task.attainable for task in self.tasks.values())

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The parts by name; a number distinguishes those of the same name."""
        alone = [make_part(part) for part in self.parts]
        lengths = [task.length for task in alone if hasattr(task, "length")]
        tasks = [make_part(part, min(lengths, default=None)) for part in self.parts]
        often, seen, named = Counter(task.name for task in tasks), Counter[str](), {}
        for task in tasks:
            seen[task.name] += 1
            named[task.name + (str(seen[task.name]) if often[task.name] > 1 else "")] = task
        return named

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(f"{name}.{line}" for name, task in self.tasks.items() for line in task.input_names)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(
            replace(target, name=f"{name}.{target.name}")
            for name, task in self.tasks.items()
            for target in task.targets
        )

    @property
    def most(self) -> int | None:
        """Return how many sequences the part with the fewest has."""
        return min((task.most for task in self.tasks.values() if task.most is not None), default=None)

    @property
    def batches_at_once(self) -> int:
        """Return for how many updates the part that wants the fewest makes its data together."""
        return min(task.batches_at_once for task in self.tasks.values())

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """Return the parts' own sequences side by side: the first that has an order keeps it, others are mixed."""
        drawn = [task.draw(n, rng) for task in self.tasks.values()]
        fewest, first = min(map(len, drawn)), True
        for k, task in enumerate(self.tasks.values()):
            if task.in_order:  # neighbours in one file have nothing to do with those in another
                some = torch.randperm(len(drawn[k]), generator=rng)[:fewest]
                drawn[k], first = drawn[k][some.sort().values if first else some], False
        return self._beside(drawn)

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the parts' own sequences to train on, side by side."""
        return self._beside([task.draw_training(n, rng) for task in self.tasks.values()])

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor] | None:
        parts = inputs.split([task.n_inputs for task in self.tasks.values()], dim=2)
        made: dict[str, Tensor] = {}
        for (name, task), own in zip(self.tasks.items(), parts):
            targets = task.relabel(own, lengths)
            if targets is None:
                return None
            made |= {f"{name}.{key}": values for key, values in targets.items()}
        return made

    def one_varies(self, n: int, seed: int) -> Batch:
        """Return n sequences for each part, in which that part alone differs from one to the next.

        The other parts' lines are the same in all n. So what differs in a unit is owed to that part: its task
        variance, which `lstm_probe.unit_clusters` clusters units by.

        Returns:
            The batch, with a further signal `varies`: the number of the part whose lines differ.

        >>> batch = Compose(["flipflop:bits=1", "parity"]).one_varies(2, seed=0)
        >>> batch.signals["varies"].values[:, 0].tolist()
        [0, 0, 1, 1]
        >>> [bool((batch.inputs[rows, :, line].std(0) > 0).any()) for rows in ([0, 1], [2, 3]) for line in (0, 1)]
        [True, False, False, True]
        """
        drawn = [task.sample(n, derive_seed(seed, name)) for name, task in self.tasks.items()]
        fewest = min(map(len, drawn))
        varies = torch.arange(len(drawn)).repeat_interleave(fewest)
        own = torch.arange(fewest).repeat(len(drawn))
        batch = self._beside([part[torch.where(varies == k, own, 0)] for k, part in enumerate(drawn)])
        values = varies.unsqueeze(1).expand(batch.inputs.shape[:2])
        told = Signal("varies", values, "categorical", "distractor", "the part whose lines differ between sequences")
        return replace(batch, signals={**batch.signals, "varies": told})

    def _beside(self, batches: Sequence[Batch]) -> Batch:
        fewest = min(map(len, batches))  # a table has a fixed number of sequences
        batches = [batch[:fewest] for batch in batches]
        lengths = torch.stack([batch.lengths for batch in batches]).amin(0)
        time = int(lengths.max())
        inputs = torch.cat([batch.inputs[:, :time] for batch in batches], dim=2)
        targets: dict[str, Tensor] = {}
        signals: dict[str, Signal] = {}
        scored: dict[str, Tensor] = {}
        for name, batch in zip(self.tasks, batches):
            targets |= {f"{name}.{key}": values[:, :time] for key, values in batch.targets.items()}
            scored |= {f"{name}.{key}": steps[:, :time] for key, steps in batch.scored.items()}
            signals |= {
                f"{name}.{key}": replace(signal, name=f"{name}.{key}", values=signal.values[:, :time])
                for key, signal in batch.signals.items()
            }
        groups = together([batch.groups for batch in batches if batch.groups is not None])
        return Batch(inputs, targets, self.targets, lengths, signals, scored, groups)
