"""Mutants of places that are held on several machines, and of sweeps on clusters."""

from .mutant import Mutant

HOLDING = ("tests/core/test_holding.py",)
PLACES = ("tests/core/test_files.py", "tests/runs/test_runs.py", "tests/core/test_holding.py")
CLUSTER = ("tests/cli/test_cluster.py",)

MUTANTS = (
    Mutant("places.no-claim-beside-the-lock", "lstm_probe/core/holding.py",
           "os.O_WRONLY | os.O_CREAT | os.O_EXCL)", "os.O_WRONLY | os.O_CREAT)", HOLDING),
    Mutant("places.the-lock-is-not-looked-at", "lstm_probe/core/holding.py",
           "        return False\n    except OSError as error:\n        if error.errno in NO_LOCKS",
           "        return True\n    except OSError as error:\n        if error.errno in NO_LOCKS", PLACES),
    Mutant("places.a-disk-without-locks-is-an-error", "lstm_probe/core/holding.py",
           "if error.errno in NO_LOCKS:", "if False:", HOLDING),
    Mutant("places.every-error-means-no-locks", "lstm_probe/core/holding.py",
           "if error.errno in NO_LOCKS:", "if True:", HOLDING),
    Mutant("places.no-signs-of-life", "lstm_probe/core/holding.py",
           "                os.utime(_claim_of(self.path))\n", "                pass\n", HOLDING),
    Mutant("places.who-gives-signs-of-life-is-robbed", "lstm_probe/core/holding.py",
           "- since > LEASE and", "- since > LEASE / 20 and", HOLDING),
    Mutant("places.who-stands-still-here-is-robbed", "lstm_probe/core/holding.py",
           " and not (here and locked is False)", "", HOLDING),
    Mutant("places.processes-of-other-machines-are-looked-up-here", "lstm_probe/core/holding.py",
           "if len(theirs) != 3 or theirs[0] != _machine():", "if len(theirs) != 3:", HOLDING),
    Mutant("places.a-lost-place-is-given-back", "lstm_probe/core/holding.py",
           "            if self.mine():\n                _claim_of(self.path).unlink()",
           "            if True:\n                _claim_of(self.path).unlink()", HOLDING),
    Mutant("places.who-lost-it-publishes", "lstm_probe/runs/store.py",
           "    confirm(_lock(folder))\n", "", HOLDING),
    Mutant("places.the-same-folder-for-every-holder", "lstm_probe/runs/store.py",
           'f".{folder.name}.{hold.token}{PARTIAL}"', 'f".{folder.name}.x{PARTIAL}"', HOLDING),
    Mutant("places.files-that-another-holds-open", "lstm_probe/runs/store.py",
           "if hold.foreign:", "if False:", HOLDING),
    Mutant("places.what-was-reached-is-lost", "lstm_probe/runs/store.py",
           "        there[-1].rename(own)\n", "        shutil.rmtree(there[-1])\n        own.mkdir()\n", HOLDING),
    Mutant("cluster.a-package-that-is-not-there", "lstm_probe/cli/cluster.py",
           "if find_spec(cls.needs) is None:", "if False:", CLUSTER),
    Mutant("cluster.a-second-signal-queues-it-twice", "lstm_probe/cli/cluster.py",
           "in (signal.SIGUSR2, signal.SIGTERM):", "in (signal.SIGTERM,):", CLUSTER),
    Mutant("cluster.what-queues-it-again-is-ended-with-it", "lstm_probe/cli/cluster.py",
           "in (signal.SIGUSR2, signal.SIGTERM):", "in (signal.SIGUSR2,):", CLUSTER),
    Mutant("cluster.tasks-without-a-word-are-waited-for", "lstm_probe/cli/cluster_slurm.py",
           "elif time.monotonic() - lost.setdefault(", "elif False and time.monotonic() - lost.setdefault(", CLUSTER),
    Mutant("cluster.a-queue-that-does-not-answer-is-empty", "lstm_probe/cli/cluster_slurm.py",
           'if done.returncode and "Invalid job id" not in done.stderr:', "if False:", CLUSTER),
    Mutant("cluster.a-task-that-is-queued-again-has-ended", "lstm_probe/cli/cluster_slurm.py",
           '"COMPLETING", ', "", CLUSTER),
)  # fmt: skip
