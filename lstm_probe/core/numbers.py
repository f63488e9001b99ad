"""Numbers as people read them: one way of writing each, and a dash for what is not known (NaN)."""

import math

UNKNOWN = "–"


def known(*values: float) -> bool:
    """Return whether none of these is NaN."""
    return all(value == value for value in values)


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many decimals.

    >>> number(0.917), number(12.04, 1), number(-0.001), number(float("nan"))
    ('0.92', '12.0', '0.00', '–')
    """
    return f"{value:z.{digits}f}" if known(value) else UNKNOWN


def floored(score: float) -> str:
    """Return a score with three decimals, not rounded up: one below a threshold must not look as if it reached it.

    >>> floored(0.98968), floored(float("nan"))
    ('0.989', '–')
    """
    return f"{math.floor(1000 * score) / 1000:.3f}" if math.isfinite(score) else number(score, 3)


def interval(low: float, high: float) -> str:
    """Return an interval, a dash where an end is not known.

    >>> interval(0.9, 0.943), interval(float("nan"), float("nan"))
    ('[0.90, 0.94]', '–')
    """
    return f"[{number(low)}, {number(high)}]" if known(low, high) else UNKNOWN


def estimate(value: float, low: float, high: float) -> str:
    """Return a number with its interval; without it where that is not known.

    >>> estimate(0.917, 0.9, 0.943), estimate(0.917, float("nan"), float("nan"))
    ('0.92 [0.90, 0.94]', '0.92')
    """
    return number(value) + (f" {interval(low, high)}" if known(low, high) else "")


def p_value(p: float) -> str:
    """Return a p-value with its sign.

    >>> p_value(0.0321), p_value(0.0004), p_value(float("nan"))
    ('= 0.032', '< 0.001', '–')
    """
    if not known(p):
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"= {p:.1g}" if p < 0.01 else f"= {p:.2g}"


def short(value: float) -> str:
    """Return a number as short as it may be without hiding a miss.

    >>> [short(v) for v in (1.0, 0.99951, 0.9999996, 0.1733, 18432.0, 2e-9, float("nan"))]
    ['1', '0.9995', '1.0000', '0.1733', '18432', '2e-09', '–']
    """
    if not known(value):
        return UNKNOWN
    if value == round(value) and abs(value) < 1e9:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.0e}"


def two_digits(value: float) -> str:
    """Return a number with two digits that count, in full however large it is.

    >>> [two_digits(v) for v in (0.874, 6.14, 25.0, 101.2, 99.6, 3580.0, 2.4e6)]
    ['0.87', '6.1', '25', '100', '100', '3,600', '2,400,000']
    """
    rounded = f"{value:.2g}"
    return f"{float(rounded):,.0f}" if abs(float(rounded)) >= 100 else rounded


def many(n: int, word: str) -> str:
    """Return a number with its noun.

    >>> many(1, "unit"), many(1024, "unit")
    ('1 unit', '1,024 units')
    """
    return f"{n:,} {word}{'s' * (n != 1)}"


def cell(value: object) -> str:
    """Return a table's value as text: three digits of a number, a dash where there is none.

    >>> cell(0.12345), cell(3), cell(float("nan")), cell("count")
    ('0.123', '3', '–', 'count')
    """
    if isinstance(value, float):
        return f"{value:.3g}" if known(value) else UNKNOWN
    return str(value)
