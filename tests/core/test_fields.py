"""Values of declared fields, where no range says what is legal."""

import math
from dataclasses import dataclass, fields

import pytest

from lstm_probe.core.fields import declare, problem


@dataclass
class Free:
    """A number without a range."""

    number: float = declare(0.0, "any number")


@pytest.mark.parametrize(("value", "legal"), [
    (1e300, True), (-3, True), (math.inf, False), (-math.inf, False), (math.nan, False), (True, False),
])  # fmt: skip
def test_a_number_has_to_be_finite(value, legal):
    (field,) = fields(Free)
    said = problem("number", field, value)
    assert (said is None) == legal and (legal or said.endswith("must be a number."))
