"""Mutants of sweeps on one machine: the launcher, what is shown, the table, what is filled in later, Optuna."""

from .mutant import Mutant

_DEATHS = ("tests/cli/test_local.py::test_jobs_are_done_by_few_processes_and_each_death_costs_one",)
_FIRST = ("tests/cli/test_local.py::test_the_largest_begin_first_and_a_single_job_stays_here",)
_CORES = ("tests/cli/test_local.py::test_as_many_workers_as_cores_for_their_threads",)
_LEFT = ("tests/cli/test_local.py::test_time_left_as_counted_by_hand",)
_LINES = ("tests/cli/test_local.py::test_lines_come_whole_and_a_leader_that_is_gone_is_no_error",)
_SUMMARY = ("tests/cli/test_summary.py",)
_ASKED = ("tests/cli/commands/test_many.py::test_what_is_asked_of_a_run_as_it_is",)
_FOLDERS = ("tests/cli/commands/test_many.py::test_folders_of_a_pattern",)
_SEARCH = ("tests/cli/test_optuna.py",)

MUTANTS = (
    Mutant("sweeps.a-value-given-twice-makes-two-jobs", "lstm_probe/cli/repeated.py",
           "if len(own) < len(value.list):", "if False:", ("tests/cli/test_repeated.py",)),
    Mutant("sweeps.the-smallest-first", "lstm_probe/cli/local.py",
           "key=lambda job: -job.size)", "key=lambda job: job.size)", _FIRST),
    Mutant("sweeps.a-dead-workers-job-is-done", "lstm_probe/cli/local.py",
           "JobOutcome(job.settings, FAILED, seconds", 'JobOutcome(job.settings, "finished", seconds', _DEATHS),
    Mutant("sweeps.all-threads-for-each", "lstm_probe/cli/local.py",
           '{} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": "1"}', "{}", _DEATHS),
    Mutant("sweeps.threads-take-no-cores", "lstm_probe/cli/local.py",
           'cores() // max(1, int(self.config.get("threads") or 1)) or 1', "cores()", _CORES),
    Mutant("sweeps.found-runs-tell-the-time", "lstm_probe/cli/local_shown.py",
           "job.outcome.status == DONE and not job.outcome.found:", "job.outcome.status == DONE:", _LEFT),
    Mutant("sweeps.any-size-tells-the-time", "lstm_probe/cli/local_shown.py",
           "        nearest = min(took,", "        nearest = max(took,", _LEFT),
    Mutant("sweeps.half-lines", "lstm_probe/cli/local_worker.py",
           'whole, end, rest = (self._begun + text).rpartition("\\n")', 'whole, end, rest = text, "x", ""', _LINES),
    Mutant("sweeps.found-is-made", "lstm_probe/cli/summary.py",
           "return FOUND if one.found and one.status == DONE else one.status", "return one.status", _SUMMARY),
    Mutant("sweeps.the-worst-are-the-best", "lstm_probe/cli/summary.py",
           "key=lambda job: -_score(job[1]))", "key=lambda job: _score(job[1]))", _SUMMARY),
    Mutant("sweeps.other-seeds-are-filled-in", "lstm_probe/cli/many.py",
           "if config.seed not in (None, run.config[\"seed\"]) or ", "if ", _ASKED),
    Mutant("sweeps.a-page-is-never-drawn-later", "lstm_probe/cli/many.py",
           "if (not missing and not run.page_left_out) or", "if not missing or", _ASKED),
    Mutant("sweeps.a-folder-named-as-a-pattern", "lstm_probe/cli/many.py",
           "if Path(pattern).exists() or not", "if not", _FOLDERS),
    Mutant("sweeps.the-lowest-score-is-looked-for", "lstm_probe/cli/optuna.py",
           'chosen.node.direction = "maximize"', 'chosen.node.direction = "minimize"', _SEARCH),
    Mutant("sweeps.any-sampler", "lstm_probe/cli/optuna.py",
           'or sampler.get("_target_") not in installed_samplers():', "or False:", _SEARCH),
    Mutant("sweeps.the-best-target-counts", "lstm_probe/cli/jobs.py",
           "min(self.scores.values(), default=math.nan)", "max(self.scores.values(), default=math.nan)", _SEARCH),
)  # fmt: skip
