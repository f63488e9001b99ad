"""Mutants of what reads, checks and merges stores of many runs."""

from .mutant import Mutant

MANY, CHECKING, MERGING = (("tests/runs/test_many.py",), ("tests/runs/test_checking.py",),
                           ("tests/runs/test_merging.py",))  # fmt: skip
FILTERS, PAGE = ("tests/cli/test_filters.py",), ("tests/report/test_page.py",)
WHERE, COLUMNS_OF, CHECK, MERGE = (f"lstm_probe/runs/{name}.py" for name in ("where", "columns_of", "checking",
                                                                             "merging"))  # fmt: skip

MUTANTS = (
    Mutant("stores.a-run-made-again-is-the-same", "lstm_probe/runs/overtaken.py",
           "if _training(now) != _training(run.info):", "if False:", ("tests/cli/commands/test_overtaken.py",)),
    Mutant("stores.zero-has-a-sign", "lstm_probe/core/fields.py",
           "float(value) + 0.0 if is_number", "float(value) if is_number", ("tests/runs/test_one_form.py",)),
    Mutant("stores.true-is-one", WHERE, "isinstance(one, bool) == isinstance(other, bool) and ", "", MANY),
    Mutant("stores.one-target-is-all", WHERE, 'and all(run.info["learned"].values())',
           'and any(run.info["learned"].values())', MANY),
    Mutant("stores.a-key-that-no-run-has", WHERE, "            _check_known(key, runs)\n", "            pass\n", MANY),
    Mutant("stores.a-list-is-any-of-it", WHERE,
           "        return len(told) == len(values) and all(map(_same, told, values))\n",
           "        return any(value in told for value in values)\n", MANY),
    Mutant("stores.tables-of-one-kind-alone", COLUMNS_OF, '"none" if alike else "permissive"', '"none"', MANY),
    Mutant("stores.old-tables-are-todays", COLUMNS_OF, "if not is_current(self.name, self._names, schema):",
           "if False:", MANY),
    Mutant("stores.names-as-they-come", COLUMNS_OF, "any(word != clean(word) for word in _words(whole[name]))",
           "False", MANY),
    Mutant("stores.every-row", COLUMNS_OF, "table = table.filter(pc.is_in(column, value_set=allowed))",
           "pc.is_in(column, value_set=allowed)", MANY),
    Mutant("stores.a-table-without-its-run", COLUMNS_OF, "for key in reversed(RUN_COLUMNS):", "for key in ():", MANY),
    Mutant("stores.settings-that-all-share", "lstm_probe/runs/many.py", "for own in settings if own}) > 1]",
           "for own in settings if own}) > 0]", MANY),
    Mutant("stores.the-first-damaged-file-ends-it", CHECK, "    for name in run.files:\n",
           "    for name in [name for name in run.files][:1]:\n", CHECKING),
    Mutant("stores.analyses-without-their-list", CHECK, "elif run.schema >= WITH_DIGESTS and folder.is_dir()",
           "elif False and folder.is_dir()", CHECKING),
    Mutant("stores.a-lost-run-is-a-leftover", CHECK, "if new.is_dir() else f", "if True else f", CHECKING),
    Mutant("stores.damaged-runs-are-copied", MERGE, "elif problems := check_folder(run.path).problems:",
           "elif problems := check_folder(run.path).notes:", MERGING),
    Mutant("stores.analyses-of-another-network", MERGE, "    if MODEL in other:", "    if False:", MERGING),
    Mutant("stores.other-tables-are-the-same", MERGE, "decisive = [MODEL, *(analysis.file for analysis in "
           "ANALYSES.values())]", "decisive = [MODEL]", MERGING),
    Mutant("stores.what-was-left-of-a-merge-stays", MERGE,
           'place.parent.glob(f".{glob.escape(place.name)}.*{MERGING}")', "()", MERGING),
    Mutant("stores.one-value-of-a-filter", "lstm_probe/cli/filters.py", "if not override.is_sweep_override():",
           "if True:", FILTERS),
    Mutant("stores.filters-of-train", "lstm_probe/cli/filters.py", 'return command in FILTERED and (', "return (",
           FILTERS),
    Mutant("stores.a-page-of-any-size", "lstm_probe/report/sweep_page.py",
           '(found := page.lstat()).st_mode) and found.st_size == told["bytes"]', "page.lstat().st_mode)", PAGE),
    Mutant("stores.every-page-is-drawn", "lstm_probe/report/sweep_page.py", "for run in missing[:pages]}",
           "for run in missing}", PAGE),
)  # fmt: skip
