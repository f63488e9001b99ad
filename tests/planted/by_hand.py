"""An LSTM step by step, by the textbook's formulas in float64, and what clamping and swapping sets of units costs."""

import itertools

import numpy as np
import torch

from lstm_probe.core.seeding import generator


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


class Lstm:
    """A SequenceModel's weights; its state before the first step, where it has one."""

    def __init__(self, model):
        self.layers, self.units = model.lstm.num_layers, model.lstm.hidden_size
        own = {name: values.detach().double().numpy() for name, values in model.lstm.named_parameters()}
        self.own = [{name.rsplit("_l", 1)[0]: values for name, values in own.items() if name.endswith(f"_l{k}")}
                    for k in range(self.layers)]  # fmt: skip
        self.out, self.bias = (part.detach().double().numpy() for part in (model.readout.weight, model.readout.bias))
        self.start = [getattr(model, name).double().numpy()[:, 0] if hasattr(model, name) else None for name in "hc"]

    def run(self, inputs, masks=None, held=None, swap=None, added=None):
        """Outputs (set, sequence, step, output) and memories (set, sequence, step, layer, unit).

        Units of a set, (set, layer, unit), are held at `held`, (sequence, step, layer, unit); or, at a step, have the
        h and c of other sequences. A number is added to one memory: step, layer, unit, number.
        """
        n, time, _ = inputs.shape
        masks = np.zeros((1, self.layers, self.units), bool) if masks is None else masks
        width = self.own[0]["weight_hh"].shape[1]
        h, c = (np.zeros((self.layers, len(masks), n, size)) for size in (width, self.units))
        for state, start in zip((h, c), self.start):
            if start is not None:
                state += start[:, None, None]
        outputs, memories = [], []
        for t in range(time):
            x = np.broadcast_to(inputs[:, t], (len(masks), *inputs[:, t].shape))
            for k, own in enumerate(self.own):
                gates = x @ own["weight_ih"].T + h[k] @ own["weight_hh"].T + own["bias_ih"] + own["bias_hh"]
                i, f, g, o = np.split(gates, 4, axis=-1)
                memory = sigmoid(f) * c[k] + sigmoid(i) * np.tanh(g)
                which = np.broadcast_to(masks[:, k, None], memory.shape)
                if held is not None:
                    memory = np.where(which, held[:, t, k], memory)
                if added is not None and (t, k) == added[:2]:
                    memory[..., added[2]] += added[3]
                shown = sigmoid(o) * np.tanh(memory)
                if swap is not None and t == swap[0]:
                    memory, shown = (np.where(which, old[:, swap[1]], old) for old in (memory, shown))
                c[k], h[k] = memory, shown @ own["weight_hr"].T if "weight_hr" in own else shown
                x = h[k]
            outputs.append(x @ self.out.T + self.bias)
            memories.append(c.transpose(1, 2, 0, 3).copy())
        return np.stack(outputs, axis=2), np.stack(memories, axis=2)


def donors_of(n, seed):
    """Who is swapped with whom, as the package draws it."""
    return torch.randperm(n, generator=generator(seed, "donors")).roll(1).numpy()


class Table:
    """What every set of up to three units costs each target, on average over steps."""

    def __init__(self, model, batch, seed, at):
        net, x = Lstm(model), batch.inputs.double().numpy()
        self.units = [(k, u) for k in range(net.layers) for u in range(net.units)]
        self.sets = [frozenset(own) for size in range(4) for own in itertools.combinations(self.units, size)]
        masks = np.array([[unit in own for unit in self.units] for own in self.sets])
        masks = masks.reshape(-1, net.layers, net.units)
        intact, memories = net.run(x)
        self.memories, donors = memories[0], donors_of(len(x), seed)
        means = np.broadcast_to(self.memories.mean((0, 1)), self.memories.shape)
        runs = {"clamped": (masks, means, None), "kept": (~masks, means, None), "swapped": (masks, None, (at, donors)),
                "resampled": (masks, self.memories[donors], None),
                "kept_resampled": (~masks, self.memories[donors], None)}  # fmt: skip
        places, start = {}, 0
        for spec in batch.target_specs:
            places[spec.name] = slice(start, start + spec.size)
            start += spec.size
        self.cost = {}
        for how, given in runs.items():
            made = net.run(x, *given)[0]
            change = (made - intact) ** 2
            self.refitted(how, made, intact, places)
            for target, own in places.items():
                total = intact[..., own].var((0, 1, 2)).sum()
                steps = change[:, :, at if how == "swapped" else 0 :, own].mean((1, 2)).sum(-1)
                self.cost[how, target] = dict(zip(self.sets, steps / total))

    def refitted(self, how, made, intact, places):
        """What is left of a change after a straight line from each changed output to the intact one."""
        name = {"clamped": "refitted", "resampled": "resample_refitted", "kept": "kept_refitted",
                "kept_resampled": "kept_resample_refitted"}.get(how)  # fmt: skip
        for target, own in places.items() if name else ():
            spread, left = intact[..., own].var((0, 1, 2)), np.zeros(len(self.sets))
            for k in range(len(self.sets)):
                for j, wanted in enumerate(np.moveaxis(intact[..., own], -1, 0)):
                    x = made[k, ..., own][..., j].ravel()
                    design = np.stack([x, np.ones_like(x)], 1)
                    design = design * [x.var() > 1e-6 * wanted.var(), 1]  # less is dust, whatever its scale
                    line = np.linalg.lstsq(design, wanted.ravel(), rcond=1e-9)[0]
                    left[k] += ((design @ line - wanted.ravel()) ** 2).mean()
            self.cost[name, target] = dict(zip(self.sets, left / spread.sum()))

    def smallest(self, how, target):
        costs = self.cost[how, target]
        good = [own for own in self.sets
                if (costs[own] < 0.05 if how.startswith("kept") else own and costs[own] >= 0.05)]  # fmt: skip
        return {own for own in good if not any(other < own for other in good)}

    def label(self, unit, how, target):
        """The word, from the definitions alone."""
        costs, own = self.cost[how, target], frozenset([unit])
        kept = "kept" if how == "clamped" else f"kept_{how}"
        if costs[own] >= 0.05:
            pairs = [costs[frozenset([unit, other])] for other in self.units if other != unit]
            freed = any(pair < 0.05 and costs[own] - pair >= 0.05 for pair in pairs)
            return "cancelled" if freed else "alone"
        for units in self.smallest(how, target):
            if unit in units and costs[units] - costs[units - own] >= 0.05:
                without = any(unit not in units for units in self.smallest(kept, target))
                return "redundant" if without else "together"
        # A change by 1e-4 of the spread, which weights of 32 bits make in a projection, adds this to another change.
        free = all(abs(costs[units] - costs[units - own]) <= 1e-6 + 2e-4 * max(costs[units], costs[units - own]) ** 0.5
                   for units in self.sets if unit in units)  # fmt: skip
        return "unused" if free else "unclear"

    def moves(self, unit, target):
        """Whether a swap of it moves a target's outputs, alone or in a smallest set."""
        return any(unit in units for units in self.smallest("swapped", target))
