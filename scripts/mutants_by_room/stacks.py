"""Mutants of stacks of small networks: the kernel, their training, and their runs."""

from .mutant import Mutant

KERNEL = ("tests/network/test_stack.py",)
TRAINED = ("tests/network/test_stacked.py",)
RUNS = ("tests/runs/test_stacked.py",)
OFFER = ("tests/cli/test_stack.py",)
_KERNEL = "lstm_probe/network/stack_kernel.py"
_STACK = "lstm_probe/network/stack.py"
_TRAINER = "lstm_probe/network/stacked.py"
_DATA = "lstm_probe/network/stack_data.py"
_RUNS = "lstm_probe/runs/stacked.py"
_SETTINGS = "lstm_probe/runs/settings.py"

MUTANTS = (
    Mutant("stacks.gates-in-another-order", _KERNEL,
           "torch.cat([i, f, o, 2 * g]", "torch.cat([i, f, 2 * g, o]", KERNEL),
    Mutant("stacks.the-cell-inputs-gradient-undoubled", _KERNEL,
           "scale[3 * units :] = 4", "scale[3 * units :] = 2", KERNEL),
    Mutant("stacks.the-memorys-gradient-not-added-to", _KERNEL,
           "d_memory.add_(d_m, alpha=0.5)", "torch.mul(d_m, 0.5, out=d_memory)", KERNEL),
    Mutant("stacks.the-first-state-undoubled", _KERNEL, "torch.mul(c0, 2, out=memory[0])", "memory[0] = c0", KERNEL),
    Mutant("stacks.the-reverse-read-forwards", _STACK, "x.flip(0) if both else x, suffix", "x, suffix", KERNEL),
    Mutant("stacks.members-share-their-weights", _STACK,
           "values.detach()[k].clone()", "values.detach()[0].clone()", KERNEL),
    Mutant("stacks.what-differs-is-not-looked-at", _STACK,
           "if own.get(key) != first[key]", "if False", KERNEL),
    Mutant("stacks.clipped-together", _TRAINER,
           "torch.linalg.vector_norm(grads, dim=1, keepdim=True)", "torch.linalg.vector_norm(grads)", TRAINED),
    Mutant("stacks.one-rate-for-all", _TRAINER,
           "[[self.members[k].lr] for k in self._live]", "[[self._first.lr] for k in self._live]", TRAINED),
    Mutant("stacks.a-bias-that-grows", _TRAINER, "(1 - beta ** (self.step + 1) for beta in BETAS)",
           "(1 - beta ** (self.step + 2) for beta in BETAS)", TRAINED),
    Mutant("stacks.one-seeds-data-for-all", _TRAINER,
           "self._data, self._chunk = [drawn[self.members[k].seed] for k in self._live], None",
           "self._data, self._chunk = [drawn[self.members[self._live[0]].seed] for k in self._live], None", TRAINED),
    Mutant("stacks.a-failure-is-not-kept", _TRAINER, "                self.failed[k] = error\n", "", TRAINED),
    Mutant("stacks.averages-of-those-who-left", _TRAINER,
           "[values[rows] for values in self._averages]", "[values[: len(rows)] for values in self._averages]",
           TRAINED),
    Mutant("stacks.rows-that-end-anywhere", _DATA, "ROWS = 32", "ROWS = 1", TRAINED),
    Mutant("stacks.the-longest-sequence-of-all-counts", _DATA,
           "by_steps.setdefault(batch.inputs.shape[1], [])", "by_steps.setdefault(0, [])", TRAINED),
    Mutant("stacks.their-number-in-the-hash", _SETTINGS, "stack=1, stack_lrs=None)", "stack_lrs=None)", RUNS),
    Mutant("stacks.each-seed-with-another-rate", _SETTINGS, "lr=float(lr), stack=1", "lr=2 * float(lr), stack=1", RUNS),
    Mutant("stacks.what-was-trained-is-trained-again", _RUNS,
           "return None if again.done else trainer", "return trainer", RUNS),
    Mutant("stacks.a-failure-that-nobody-hears-of", _RUNS, "        if self.failed:\n", "        if False:\n", RUNS),
    Mutant("stacks.offered-whatever-the-cores", "lstm_probe/cli/stack_offer.py",
           "stacks = min(len(seeds), ceil(side_by_side / others))", "stacks = 1", OFFER),
)  # fmt: skip
