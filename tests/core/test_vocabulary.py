"""Legal words are declared once: no other module has a list of the same ones, but for the types of two of them."""

import ast
from pathlib import Path
from typing import get_args

import lstm_probe
from lstm_probe.core import kinds, vocabulary

PACKAGE = Path(lstm_probe.__file__).parent


def test_no_module_declares_legal_words_again():
    declared = {
        frozenset(words): name
        for name, words in vars(vocabulary).items()
        if name.isupper() and isinstance(words, tuple | dict) and all(isinstance(word, str) for word in words)
    }
    assert {"MODES", "NULLS", "ESTIMATORS", "METHODS", "ALONG", "KINDS", "ROLES"} <= set(declared.values())
    again = [
        f"{path.relative_to(PACKAGE).as_posix()} {declared[words]}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "vocabulary.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1
        for words in [frozenset(one.value if isinstance(one, ast.Constant) else None for one in node.elts)]
        if words in declared
    ]
    assert sorted(again) == ["core/kinds.py KINDS", "core/kinds.py ROLES"]


def test_types_have_the_same_words():
    assert get_args(kinds.Kind) == vocabulary.KINDS and get_args(kinds.Role) == tuple(vocabulary.ROLES)
