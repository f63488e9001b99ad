"""Mutants of what puts the package's declarations into the pages of `docs/`."""

from .mutant import Mutant

_FILE, _TESTS = "docs/declared.py", "tests/docs/test_reference.py"
WORDS = (f"{_TESTS}::test_words_are_shown_as_they_are",)
COLUMNS = (f"{_TESTS}::test_every_column_of_every_table_has_its_sentence",)
KEYS = (f"{_TESTS}::test_every_key_of_every_command_is_explained",)

MUTANTS = (
    Mutant("docs.words-become-markup", _FILE,
           'part if part.startswith("`") else re.sub(', 'part if part else re.sub(', WORDS),
    Mutant("docs.empty-cells-close-up", _FILE, "' '.join(cell.split()) or ' '", "' '.join(cell.split())", WORDS),
    Mutant("docs.tables-of-analyses-alone", _FILE,
           "dict.fromkeys([*says, *FURTHER, *MADE_OF_OTHERS])", "dict.fromkeys([*says])", COLUMNS),
    Mutant("docs.shared-settings-again", _FILE,
           'if key.split(".")[0] not in NESTED]', 'if key.split(".")[0] not in ("ablate",)]', KEYS),
    Mutant("docs.settings-of-probe-alone", _FILE,
           'key.startswith(f"{name}.")', 'key.startswith("probe.")', KEYS),
)  # fmt: skip
