"""Mutants of tables: on a page, as CSV, as LaTeX."""

from .mutant import Mutant

PAGE = ("tests/report/test_tables.py",)
LATEX = ("tests/core/test_latex.py",)
WRITTEN = ("tests/runs/test_latex.py",)

MUTANTS = (
    Mutant("tables.the-csv-has-what-is-shown", "lstm_probe/report/tables.py",
           "None if text == exact(value) else exact(value)", "None", PAGE),
    Mutant("tables.what-is-true-is-a-number", "lstm_probe/report/tables.py",
           "pd.api.types.is_number(value) and not isinstance(value, bool)", "pd.api.types.is_number(value)", PAGE),
    Mutant("tables.a-column-of-nothing-is-of-numbers", "lstm_probe/report/tables.py",
           "return bool(told) and all(", "return all(", PAGE),
    Mutant("tables.an-interval-without-an-end-is-shown", "lstm_probe/report/tables.py",
           "if any(map(_unknown, ends))", "if all(map(_unknown, ends))", PAGE),
    Mutant("tables.a-bar-beyond-all", "lstm_probe/report/tables.py",
           "min(max(float(value), 0), 1)", "max(float(value), 0)", PAGE),
    Mutant("tables.a-mark-of-latex-is-bare", "lstm_probe/core/latex.py", r'"&": r"\&", ', "", LATEX),
    Mutant("tables.two-dashes-become-one", "lstm_probe/core/latex.py",
           """one in "-'," and one == after""", "False", LATEX),
    Mutant("tables.digits-by-the-value-before-rounding", "lstm_probe/core/latex.py",
           'f"{abs(value):.{digits - 1}e}"', 'f"{abs(value):.{digits + 5}e}"', LATEX),
    Mutant("tables.small-numbers-are-nothing", "lstm_probe/core/latex.py",
           "if exponent < -3 or exponent > 14:", "if exponent > 14:", LATEX),
    Mutant("tables.a-bracket-belongs-to-the-line-break", "lstm_probe/runs/latex.py",
           '"{}" + row if row[0] in "[*" else row', "row", WRITTEN),
    Mutant("tables.a-long-table-floats", "lstm_probe/runs/latex.py", "if len(rows) > _LONG:", "if not rows:", WRITTEN),
    Mutant("tables.lists-as-python-shows-them", "lstm_probe/runs/latex.py",
           "table.assign(**lists).to_csv", "table.to_csv", WRITTEN),
    Mutant("tables.an-index-with-a-name-is-lost", "lstm_probe/runs/latex.py",
           "        table = table.reset_index()\n", "        pass\n", WRITTEN),
    Mutant("tables.the-csv-is-rounded", "lstm_probe/runs/latex.py",
           'to_csv(index=False, lineterminator="\\n")', 'to_csv(index=False, float_format="%.15g")', WRITTEN),
)  # fmt: skip
