"""Text and numbers as LaTeX: nothing that LaTeX does not know, and nothing changed by what it knows."""

import math
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lstm_probe.core.latex import is_label, latex_number, latex_text


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b", r"a\_b"), ("50 %", r"50 \%"), ("$x^2$", r"\$x\textasciicircum{}2\$"),
        (r"\input{a}", r"\textbackslash{}input\{a\}"), ("#1 & ~", r"\#1 \& \textasciitilde{}"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ('"`', r"\char34{}\textasciigrave{}"), ("a--b---c", "a-{}-b-{}-{}-c"), ("''", "'{}'"), ("u32-s0", "u32-s0"),
        ("é ñ ü ç š ő ï", r"\'{e} \~{n} \"{u} \c{c} \v{s} \H{o} \"{\i}"),
        ("e\u0301", r"\'{e}"), ("straße", r"stra\ss{}e"),
        ("λ Σ µ", r"$\lambda$ $\Sigma$ $\mu$"), ("1·2 × 3−4", r"1$\cdot$2 $\times$ 3$-$4"),
        ("R² x₁₀", "R$^{2}$ x$_{1}$$_{0}$"), ("0–1", "0--1"), ("\N{GRINNING FACE}", "[U+1F600]"),
        ("\u05d0", "[U+05D0]"), ("ą", "[U+0105]"),
        ("a\nb\x1b", r"a\textbackslash{}nb\textbackslash{}x1b"), ("\u202e", r"\textbackslash{}u202e"), ("", ""),
    ],
)  # fmt: skip
def test_text(text, latex):
    assert latex_text(text) == latex


@given(st.text())
def test_any_text_is_ascii_and_none_of_its_marks_is_bare(text):
    latex = latex_text(text)
    assert latex.isascii() and latex.isprintable()
    commands = r"\\(?:char34|i|j|[A-Za-z]+|[#$%&_{}~^\"'`=.])(?:\{\})?|\$[^$]*\$|(?<=-|'|,)\{\}|\{\\?[A-Za-z]\}|~"
    assert not set("\\{}$&#%_^~") & set(re.sub(commands, "", latex))


@given(st.floats(), st.integers(1, 17))
@example(-1.7976931348623157e308, 11)
@example(5e-324, 17)
def test_any_number_is_near_what_is_written(value, digits):
    latex = latex_number(value, digits)
    assert latex.isascii()
    if math.isfinite(value):
        read = Decimal(latex.replace("$-$", "-").replace(r" $\times$ 10$^{", "e").replace("}$", ""))
        exact = Decimal(value)  # as a float the highest number, rounded up, would be infinite
        assert abs(read - exact) <= Decimal("0.5000001") * Decimal(10) ** (1 - digits) * max(abs(read), abs(exact))
        assert ("$-$" in latex) == (value < 0)
    else:
        assert latex == {math.inf: r"$\infty$", -math.inf: r"$-\infty$"}.get(value, "--")


@pytest.mark.parametrize(
    ("value", "digits", "latex"),
    [(0.5, 3, "0.500"), (0.09996, 3, "0.100"), (99.96, 3, "100"), (123456.0, 3, "123456"), (0.001, 2, "0.0010"),
     (0.0009996, 3, "0.00100"), (0.000999, 3, r"9.99 $\times$ 10$^{-4}$"), (1e15, 2, r"1.0 $\times$ 10$^{15}$")],
)  # fmt: skip
def test_digits(value, digits, latex):
    assert latex_number(value, digits) == latex


@pytest.mark.parametrize("bad", ["", "a b", "a%", "{", "a\\b", "é", "a\n"])
def test_what_is_no_label(bad):
    assert not is_label(bad) and is_label("tab:a-1.b_c/d+e")
