"""Mutants of the networks and their training."""

from .mutant import Mutant

UPDATES = ("tests/network/test_updates.py",)
TRAINING = ("tests/network/test_training.py",)
CHECKPOINTS = ("tests/network/test_checkpoint.py",)
_FILE = "lstm_probe/network/training.py"
_CHECKPOINT = "lstm_probe/network/checkpoint.py"

MUTANTS = (
    Mutant("network.no-clipping", _FILE,
           "        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)\n", "", UPDATES),
    Mutant("network.clipping-by-value", _FILE,
           "clip_grad_norm_(self", "clip_grad_value_(self", UPDATES),
    Mutant("network.validation-from-the-training-seed", _FILE,
           'derive_seed(self.seed, "validation")', 'derive_seed(self.seed, "train", 0)', UPDATES),
    Mutant("network.validation-from-the-bare-seed", _FILE,
           'VALIDATION_SEQUENCES, derive_seed(self.seed, "validation"))', "VALIDATION_SEQUENCES, self.seed)", UPDATES),
    Mutant("network.the-same-data-in-every-chunk", _FILE,
           'derive_seed(self.seed, "train", chunk)', 'derive_seed(self.seed, "train", 0)', UPDATES),
    Mutant("network.a-checkpoint-written-in-place", _CHECKPOINT,
           '    write_whole(path, [hashlib.sha256(content).hexdigest().encode() + b"\\n", content])\n',
           '    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\\n" + content)\n', UPDATES),
    Mutant("network.a-checkpoint-of-any-training", _CHECKPOINT,
           'if about["training"] != training:', "if False:", CHECKPOINTS),
    Mutant("network.a-checkpoint-without-its-digest", _CHECKPOINT,
           "if not rest or told != hashlib.sha256(rest).hexdigest().encode():", "if not rest:", CHECKPOINTS),
    Mutant("network.a-checkpoint-of-no-numbers", _CHECKPOINT,
           "return bool(torch.isfinite(value).all())", "return True", CHECKPOINTS),
    Mutant("network.gradients-add-up", _FILE,
           "        self._optimizer.zero_grad()\n", "", TRAINING),
    Mutant("network.a-constant-learning-rate", _FILE,
           "        self._schedule.step()\n", "", UPDATES),
    Mutant("network.the-schedule-is-not-resumed", _FILE,
           "part.load_state_dict(saved[name])",
           'part.load_state_dict(saved[name] if name != "schedule" else before[name])', TRAINING),
    Mutant("network.the-optimizer-is-not-resumed", _FILE,
           "part.load_state_dict(saved[name])",
           'part.load_state_dict(saved[name] if name != "optimizer" else before[name])', TRAINING),
    Mutant("network.the-carried-state-is-not-resumed", _FILE,
           "        self._state = saved[\"state\"]\n", "", TRAINING),
    Mutant("network.passages-start-anew", _FILE,
           "outputs, state = self.model.advance(batch.inputs, self._state)",
           "outputs, state = self.model.advance(batch.inputs, None)", TRAINING),
    Mutant("network.the-state-is-never-dropped", _FILE,
           "                if k == 0:\n                    self._state = None\n", "", TRAINING),
    Mutant("network.solved-once-is-solved", _FILE,
           "SOLVED_IN_A_ROW = 2", "SOLVED_IN_A_ROW = 1", TRAINING),
    Mutant("network.solved-counts-do-not-go-back", _FILE,
           "self._solved + 1 if self.task.solved(scores) else 0",
           "self._solved + self.task.solved(scores)", UPDATES),
    Mutant("network.it-never-stops-early", _FILE,
           "or (self.stop_when_solved and self._solved", "or (False and self._solved", TRAINING),
    Mutant("network.an-infinite-loss-goes-on", _FILE,
           "if not math.isfinite(loss):", "if math.isinf(loss):", TRAINING),
    Mutant("network.weights-from-the-global-generator", "lstm_probe/network/model.py",
           "            torch.manual_seed(seed)\n            initialise(", "            initialise(", TRAINING),
    Mutant("network.the-same-weights-for-every-seed", _FILE,
           'seed=derive_seed(settings.seed, "weights")', 'seed=derive_seed(0, "weights")', UPDATES),
    Mutant("network.the-readout-is-as-wide-as-the-memory", "lstm_probe/network/model.py",
           "nn.Linear(projection or units, outputs)", "nn.Linear(units, outputs)", TRAINING),
)  # fmt: skip
