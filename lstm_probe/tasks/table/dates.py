"""The column that orders a table's steps, as numbers: it may hold numbers, or dates as people write them."""

import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

LEGAL = "numbers or dates such as 2024-12-31, 2024-12-31 18:30 or 31 Dec 2024"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_NAME = r"(?P<name>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_WEEKDAY = r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
_DATES = tuple(
    re.compile(rf"{_WEEKDAY}(?:{form})(?P<rest>.*)", re.IGNORECASE)
    for form in (
        rf"{_YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark){_DAY}(?!\d)",
        rf"{_YEAR}(?P<month>\d{{2}})(?P<day>\d{{2}})(?=T|\s|$)",
        rf"{_YEAR}[-/](?P<month>\d{{1,2}})(?=$)",
        rf"{_NAME}[\s-]{_DAY}(?:,\s*|\s+|-){_YEAR}(?!\d)",
        rf"{_DAY}\.?[\s-]?{_NAME},?[\s-]?{_YEAR}(?!\d)",
        rf"{_NAME}[\s-]{_YEAR}(?=$)",
        rf"{_YEAR}[\s-]{_NAME}[\s-]{_DAY}(?!\d)",
        rf"(?P<one>\d{{1,2}})(?P<mark>[-/.])(?P<two>\d{{1,2}})(?P=mark){_YEAR}(?!\d)",
    )
)
_CLOCK = re.compile(
    r"(?:[T,\s]\s*(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9})\d*)?)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?)?"
    r"\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?)?",
    re.IGNORECASE,
)


class UnreadError(Exception):
    """The column is not understood: the message says why, and `wrong` where, if that is in some cells alone."""

    def __init__(self, why: str, wrong: Bool[np.ndarray, " row"] | None = None) -> None:
        super().__init__(why)
        self.wrong = wrong


def read_times(cells: pd.Series) -> tuple[Float[np.ndarray, " row"], bool]:
    """Return a column that orders steps as numbers, and whether it holds dates: then these are seconds.

    Numbers are counted from the column's least, so that large ones keep their differences.

    Raises:
        UnreadError: a cell is neither, or it can't be told which of several dates it means.
    """
    if cells.isna().any():
        raise UnreadError("has no value", cells.isna().to_numpy())
    if pd.api.types.is_timedelta64_dtype(cells):
        return _seconds(cells.to_numpy(dtype="timedelta64[ns]").astype(np.int64)), True
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _seconds(pd.to_datetime(cells, utc=True).to_numpy(dtype="datetime64[ns]").astype(np.int64)), True
    if pd.api.types.is_integer_dtype(cells):
        whole = cells.to_numpy(dtype=np.uint64 if str(cells.dtype).lower() == "uint64" else np.int64)
        if (written := _as_written(whole)) is not None:
            return _read_texts(pd.Series(written))
        return (whole - whole.min()).astype(np.float64), False
    if pd.api.types.is_numeric_dtype(cells):
        numbers = cells.to_numpy(dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise UnreadError("is infinite", ~np.isfinite(numbers))
        return numbers - numbers.min(), False
    parsed = pd.to_numeric(cells, errors="coerce")
    if 2 * parsed.notna().sum() > len(cells):  # numbers, and perhaps a few words among them
        if parsed.isna().any():
            raise UnreadError("is no number", parsed.isna().to_numpy())
        return read_times(parsed)
    return _read_texts(cells.astype(str).str.strip())


def in_words(seconds: float) -> str:
    """Return a length of time in its largest usual unit.

    >>> in_words(86400.0), in_words(5400.0)
    ('1 day', '1.5 hours')
    """
    size, unit = next(
        (s, u) for s, u in ((86400, "day"), (3600, "hour"), (60, "minute"), (0, "second")) if seconds >= s
    )
    count = f"{seconds / (size or 1):.4g}"
    return f"{count} {unit}{'' if count == '1' else 's'}"


def _seconds(nanoseconds: np.ndarray) -> Float[np.ndarray, " row"]:
    result: np.ndarray = (nanoseconds - nanoseconds.min()) / 1e9
    return result


def _as_written(whole: np.ndarray) -> list[str] | None:
    """Return whole numbers that all are days such as 20240131 as texts; None for others."""
    if whole.min() < 19000101 or whole.max() > 21001231:
        return None
    texts = [str(number) for number in whole.tolist()]
    days = pd.to_datetime(pd.Series(texts).drop_duplicates(), format="%Y%m%d", errors="coerce")
    return None if days.isna().any() else texts


def _read_texts(texts: pd.Series) -> tuple[Float[np.ndarray, " row"], bool]:
    codes, distinct = pd.factorize(texts)
    found = [_match(text) for text in distinct]
    wrong = np.array([match is None for match in found])[codes]
    if wrong.any():
        raise UnreadError("is no number and no date", wrong)
    parts = [match for match in found if match is not None]
    day_first = _day_first(parts, list(distinct))
    moments = [_moment(part, day_first) for part in parts]
    wrong = np.array([moment is None for moment in moments])[codes]
    if wrong.any():
        raise UnreadError("is no day or time that there is", wrong)
    known = [moment for moment in moments if moment is not None]
    zoned = [bool(part["zone"]) for part in parts]
    if any(zoned) and not all(zoned):
        raise UnreadError("has no time zone, and others have one", ~np.array(zoned)[codes])
    ticks = np.array([(moment - known[0][0]) // timedelta(microseconds=1) * 1000 + rest for moment, rest in known])
    return _seconds(ticks.astype(np.int64)[codes]), True


def _match(text: str) -> dict[str, str | None] | None:
    """Return the parts of a date, with a time of day and a zone if there are any; None for other texts."""
    for form in _DATES:
        if (date := form.fullmatch(text)) and (clock := _CLOCK.fullmatch(date["rest"])):
            parts = date.groupdict() | clock.groupdict()
            if parts.get("name") is None or _month(str(parts["name"])):
                return parts
    return None


def _month(name: str) -> int:
    """Return the number of a month's English name, whole or cut; 0 for another word."""
    name = "sep" if name.lower() == "sept" else name.lower()
    names = _MONTHS if len(name) == 3 else _LONG
    return names.index(name) + 1 if name in names else 0


def _day_first(parts: list[dict[str, str | None]], texts: list[str]) -> bool:
    """Return whether the day comes first in dates such as 31.12.2024; days above 12 tell.

    Raises:
        UnreadError: they tell both, or nothing.
    """
    pairs = [(int(p["one"] or 0), int(p["two"] or 0)) for p in parts if p.get("one")]
    first, second = any(one > 12 for one, _ in pairs), any(two > 12 for _, two in pairs)
    if first and second:
        raise UnreadError("has the day first in some cells and the month first in others")
    if not first and not second and any(one != two for one, two in pairs):
        text = next(t for t, p in zip(texts, parts) if p.get("one") and p["one"] != p["two"])
        raise UnreadError(f"may have the day or the month first, as in {text}")
    return first


def _moment(parts: dict[str, str | None], day_first: bool) -> tuple[datetime, int] | None:
    """Return a moment to the microsecond, and the nanoseconds beyond; None if there is no such day or time."""

    def number(key: str, default: int = 0) -> int:
        return int(parts.get(key) or default)

    month, day = _month(parts.get("name") or "") or number("month", 1), number("day", 1)
    if parts.get("one"):
        day, month = (number("one"), number("two")) if day_first else (number("two"), number("one"))
    hour, half = number("hour"), (parts.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * half.startswith("p")
    elif parts.get("hour") and not parts.get("minute"):
        return None  # an hour alone needs am or pm
    nanoseconds = int((parts.get("part") or "").ljust(9, "0"))
    away = timedelta(hours=number("hours"), minutes=number("minutes")) * (-1 if parts.get("sign") == "-" else 1)
    try:
        zone = timezone(away) if away else UTC
        moment = datetime(number("year"), month, day, hour, number("minute"), number("second"),
                          nanoseconds // 1000, tzinfo=zone)  # fmt: skip
    except ValueError:
        return None
    return moment, nanoseconds % 1000
