"""Quantiles of Student's t. Those of `scipy.stats` are the same, and importing that takes longer than a page."""

from typing import Any

from scipy.special import stdtrit


def student(share: float, freedom: Any) -> Any:
    """Return what a share of Student's t stays below.

    Args:
        share: from 0 to 1.
        freedom: degrees of freedom, one number or an array; where there are none, the quantile is NaN.

    >>> [round(float(student(0.975, freedom)), 3) for freedom in (1, 10, 1e9)]
    [12.706, 2.228, 1.96]
    """
    return stdtrit(freedom, share)
