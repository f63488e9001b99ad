"""Mutants of the terminal: tables between words, help, what was meant, and what comes next."""

from .mutant import Mutant

TABLES = ("tests/core/test_tables.py",)
MEANT = ("tests/cli/test_meant.py::test_the_command_to_type",)
UNTOLD = ("tests/cli/test_meant.py::test_what_is_wrong_where_nothing_can_be_told",)
NEXT = ("tests/cli/test_next_step.py",)

MUTANTS = (
    Mutant("terminal.columns-narrower-than-words", "lstm_probe/core/tables.py",
           "wanted = [max(own, min(full, prose))", "wanted = [max(4, min(full, prose))", TABLES),
    Mutant("terminal.words-of-headings-do-not-count", "lstm_probe/core/tables.py",
           "least = [max(longest(cell.plain.split()) for cell in column) for column in columns]",
           "least = [max(longest(cell.plain.split()) for cell in column[1:]) for column in columns]", TABLES),
    Mutant("terminal.gaps-have-no-width", "lstm_probe/core/tables.py",
           "room = width - GAP * (len(columns) - 1)", "room = width", TABLES),
    Mutant("terminal.spare-columns-stay", "lstm_probe/core/tables.py",
           "for n in range(len(self.spare) + 1)", "for n in range(1)", TABLES),
    Mutant("terminal.numbers-left", "lstm_probe/core/tables.py",
           'line.append(space if right else "")', 'line.append("")', TABLES),
    Mutant("terminal.percent-signs-alone", "lstm_probe/core/tables.py", 'f"{GLUE}%", glued', '" %", glued', TABLES),
    Mutant("terminal.several-values-without-multirun", "lstm_probe/cli/meant.py",
           'line.words.insert(0, "--multirun")', "pass", MEANT),
    Mutant("terminal.told-though-it-is-illegal", "lstm_probe/cli/meant.py",
           "line.unread += error.problems", "pass", UNTOLD),
    Mutant("terminal.run-is-a-flag", "lstm_probe/cli/meant.py",
           '(name == "--run" and "run" in line.keys)', "False", MEANT),
    Mutant("terminal.a-key-given-is-taken-again", "lstm_probe/cli/meant.py",
           "if not line.given(key) and _takes(", "if _takes(", MEANT),
    Mutant("terminal.for-no-shell", "lstm_probe/cli/meant.py",
           "shlex.join([PROGRAM, command, *words])", "' '.join([PROGRAM, command, *words])", MEANT),
    Mutant("terminal.keys-are-no-commands", "lstm_probe/cli/wrong_command.py",
           "[] if keyed else", "[] if False else", MEANT),
    Mutant("terminal.the-cheapest-unit", "lstm_probe/cli/next_step.py",
           "max(costly, key=", "min(costly, key=", NEXT),
    Mutant("terminal.more-of-what-was-learned", "lstm_probe/cli/next_step.py",
           "verdict.lost and run.trained", "run.trained", NEXT),
    Mutant("terminal.as-long-as-before", "lstm_probe/cli/next_step.py", "max(2 * run", "max(1 * run", NEXT),
    Mutant("terminal.twice-next-to-nothing", "lstm_probe/cli/next_step.py",
           'max(2 * run.config["steps"], usual_of(run, "steps"))', '2 * run.config["steps"]', NEXT),
)  # fmt: skip
