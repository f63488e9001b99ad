"""Times of steps: dates as people write them, against pandas; what could be two dates, and what is none."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.tasks import get_task
from lstm_probe.tasks.table.dates import UnreadError, in_words, read_times

DAYS = pd.date_range("1999-12-28 13:05:09", periods=40, freq="D", tz="UTC")
IRREGULAR = DAYS + pd.to_timedelta(np.random.default_rng(0).permutation(40) * 3607, "s")


@pytest.mark.parametrize(
    "form",
    [
        "%b %-d %Y", "%b %d, %Y", "%-d %b %Y", "%B %d, %Y", "%d. %B %Y", "%d-%b-%Y", "%d%b%Y", "%Y %b %d",
        "%a %d %b %Y",
        "%A, %B %d, %Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%-d/%-m/%Y", "%m/%d/%Y", "%d-%m-%Y",
    ],
)  # fmt: skip
def test_days(form):
    times, dated = read_times(pd.Series(DAYS.strftime(form)))
    assert dated and times.tolist() == (86400.0 * np.arange(40)).tolist()


@pytest.mark.parametrize("day", ["%Y-%m-%d", "%d.%m.%Y", "%b %-d %Y", "%m/%d/%Y"])
@pytest.mark.parametrize(
    "clock",
    [" %H:%M:%S", "T%H:%M:%SZ", " %I:%M:%S %p", " %H:%M:%S UTC", " %H:%M:%S+00:00", "T%H:%M:%S.%f", ", %H:%M:%S"],
)
def test_times_of_day(day, clock):
    times, _ = read_times(pd.Series(IRREGULAR.strftime(day + clock)))
    assert times == pytest.approx(
        (IRREGULAR - IRREGULAR[0]).total_seconds() - min((IRREGULAR - IRREGULAR[0]).total_seconds())
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_zones(zone):
    local = pd.Series(pd.date_range("2024-03-29 23:30", periods=60, freq="h", tz=zone))
    for cells in (local, local.map(pd.Timestamp.isoformat), local.dt.strftime("%b %d %Y %H:%M %z")):
        times, _ = read_times(cells)
        assert times.tolist() == (3600.0 * np.arange(60)).tolist()


def test_months_and_numbers_and_what_pandas_holds():
    months = pd.date_range("2020-01-01", periods=14, freq="MS", tz="UTC")
    expected = (months - months[0]).total_seconds().tolist()
    for form in ("%Y-%m", "%b %Y", "%B %Y"):
        assert read_times(pd.Series(months.strftime(form)))[0].tolist() == expected
    whole = pd.Series(DAYS.strftime("%Y%m%d").astype(int))
    assert read_times(whole)[0].tolist() == (86400.0 * np.arange(40)).tolist()
    assert read_times(pd.Series([19000001, 19000002]))[0].tolist() == [0, 1]  # no days
    assert read_times(pd.Series([0.25, 0.5]))[0].tolist() == [0, 0.25]
    assert read_times(pd.Series([1_700_000_000_000_000_001, 1_700_000_000_000_000_003]))[0].tolist() == [0, 2]
    assert read_times(pd.Series(pd.to_timedelta([5, 7], "min")))[0].tolist() == [0, 120]
    assert read_times(pd.Series(["3", "4.5"], dtype=object))[0].tolist() == [0, 1.5]
    assert read_times(pd.Series(DAYS.date))[0].tolist() == (86400.0 * np.arange(40)).tolist()


@pytest.mark.parametrize(
    ("cells", "why", "wrong"),
    [
        (["01.02.2020", "02.02.2020"], "may have the day or the month first, as in 01.02.2020", None),
        (["3/4/2020", "5/5/2020"], "as in 3/4/2020", None),
        (["13.01.2020", "01.13.2020"], "the day first in some cells and the month first in others", None),
        (["noon", "2020-01-01"], "is no number and no date", [True, False]),
        (["12:00", "13:00"], "is no number and no date", [True, True]),
        (["Foo 1 2020"], "is no number and no date", [True]),
        (["2020-02-30", "2020-02-01"], "is no day or time that there is", [True, False]),
        (["2020-02-01 25:00"], "is no day or time", [True]),
        (["2020-02-01 13:00 pm"], "is no day or time", [True]),
        (["2020-01-01T00:00Z", "2020-01-02T00:00"], "has no time zone, and others have one", [False, True]),
        (["2020-01-01", None], "has no value", [False, True]),
        ([1.0, np.inf], "is infinite", [False, True]),
        (["1", "2.5", "x"], "is no number", [False, False, True]),
    ],
)
def test_what_is_not_understood(cells, why, wrong):
    with pytest.raises(UnreadError, match=why) as caught:
        read_times(pd.Series(cells))
    assert (None if caught.value.wrong is None else caught.value.wrong.tolist()) == wrong


@pytest.mark.parametrize("cells", [["noon", "dusk", "dawn"], ["01.02.2020", "02.02.2020", "03.02.2020"], ["1 2 3"] * 3])
def test_what_is_not_understood_is_the_one_problem(tmp_path, cells):
    rows = [(s, d, 1.0 * s, s % 7) for s in range(20) for d in cells]
    pd.DataFrame(rows, columns=["sequence", "date", "x_1", "y_1"]).to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(InputError) as caught:
        get_task("table", path=str(tmp_path / "d.csv"), time="date")
    (problem,) = caught.value.problems
    assert problem.startswith("d.csv: date: must be numbers or dates such as 2024-12-31")


def test_days_in_words():
    assert [in_words(s) for s in (86400, 172800, 3600, 90, 1, 0.5)] == [
        "1 day", "2 days", "1 hour", "1.5 minutes", "1 second", "0.5 seconds",
    ]  # fmt: skip
