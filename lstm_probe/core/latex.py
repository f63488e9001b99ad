"""Text and numbers as LaTeX of ASCII alone, which every LaTeX reads, whatever fonts it has."""

import math
import re
import unicodedata

from lstm_probe.core.errors import clean

_MARKS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"\char34{}",
}  # fmt: skip
_SIGNS = {
    "·": r"$\cdot$", "×": r"$\times$", "−": "$-$", "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''",
    "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "≠": r"$\neq$", "≈": r"$\approx$", "∞": r"$\infty$",
    "→": r"$\rightarrow$", "←": r"$\leftarrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "√": r"$\surd$",
    "°": r"$^{\circ}$", "µ": r"$\mu$", "Δ": r"$\Delta$", "∆": r"$\Delta$", "Ω": r"$\Omega$", "∑": r"$\sum$",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "§": r"\S{}", "©": r"\copyright{}", "…": r"\ldots{}", "\xa0": "~",
    "\u200c": "", "\u200d": "",
}  # fmt: skip
_SIGNS |= {chr(ord("⁰") + k): f"$^{{{k}}}$" for k in (0, *range(4, 10))} | dict(
    zip("¹²³", ("$^{1}$", "$^{2}$", "$^{3}$"))
)
_SIGNS |= {chr(ord("₀") + k): f"$_{{{k}}}$" for k in range(10)}
_GREEK = {
    name.lower(): unicodedata.lookup(f"GREEK SMALL LETTER {name}")
    for name in ("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA", "THETA", "IOTA", "KAPPA", "MU", "NU",
                 "XI", "PI", "RHO", "SIGMA", "TAU", "UPSILON", "PHI", "CHI", "PSI", "OMEGA")
}  # fmt: skip
_GREEK |= {"lambda": "λ"}
_SIGNS |= {letter: f"$\\{name}$" for name, letter in _GREEK.items()}
_SIGNS |= {_GREEK[name].upper(): f"$\\{name.capitalize()}$" for name in (
    "gamma", "theta", "lambda", "xi", "pi", "sigma", "phi", "psi")}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": ".",
    "\u0306": "u", "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip


def latex_text(text: str) -> str:
    r"""Return a text as LaTeX shows it: its special characters as such, accents and signs by their commands.

    A character that plain LaTeX has no sign for is written by its number, [U+1F600], so that names stay apart.

    >>> print(latex_text("50 % of R² & λ_é --"), latex_text("\N{GRINNING FACE}"))
    50 \% of R$^{2}$ \& $\lambda$\_\'{e} -{}- [U+1F600]
    """
    text = unicodedata.normalize("NFC", clean(text, None))
    # Two of these in a row would become another sign.
    return "".join(_sign(one) + "{}" * (one in "-'," and one == after) for one, after in zip(text, text[1:] + " "))


def _sign(character: str) -> str:
    if character in _MARKS or character in _SIGNS:
        return _MARKS.get(character) or _SIGNS[character]
    if character.isascii():
        return character
    base, *accents = list(unicodedata.normalize("NFD", character))
    if len(accents) == 1 and accents[0] in _ACCENTS and base.isascii() and base.isalpha():
        dotless = f"\\{base}" if base in "ij" and accents[0] != "\u0327" else base
        return f"\\{_ACCENTS[accents[0]]}{{{dotless}}}"
    return f"[U+{ord(character):04X}]"


def latex_number(value: float, digits: int) -> str:
    """Return a number with so many significant digits; -- for what is not known.

    Whole digits before the point are never rounded away, and what is below 0.001 is written as a power of ten.

    >>> [latex_number(v, 3) for v in (0.9166, -0.09996, 12345.6, 0.0, 3.21e-7, float("nan"))]
    ['0.917', '$-$0.100', '12346', '0', '3.21 $\\\\times$ 10$^{-7}$', '--']
    """
    if math.isnan(value):
        return "--"
    sign = "$-$" if value < 0 else ""
    if math.isinf(value):
        return r"$-\infty$" if value < 0 else r"$\infty$"
    mantissa, _, power = f"{abs(value):.{digits - 1}e}".partition("e")
    exponent = int(power)
    if not value:
        return "0"
    if exponent < -3 or exponent > 14:
        return rf"{sign}{mantissa} $\times$ 10$^{{{exponent}}}$"
    return sign + f"{abs(value):.{max(digits - 1 - exponent, 0)}f}"


def is_label(text: str) -> bool:
    r"""Return whether LaTeX can take a text as a label.

    >>> is_label("tab:units_8"), is_label(r"tab{1}")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z0-9:._/+-]+", text) is not None
