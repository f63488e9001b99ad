"""The words for what clamping shows of a unit, where costs are not exact."""

from lstm_probe.planted.truth import label_of


def test_a_unit_that_adds_little_to_a_sets_cost_is_not_needed_by_that():
    """Of two that cost 0.049 and 0.002, and both 0.051, neither is needed together; of 0.051 and both 0.049, alone."""

    def costs(a, b, both):
        pairs = {(): 0.0, ((0, 0),): a, ((0, 1),): b, ((0, 0), (0, 1)): both}
        return {frozenset(units): cost for units, cost in pairs.items()}

    both = frozenset({(0, 0), (0, 1)})
    labels = [label_of((0, unit), costs(0.049, 0.002, 0.051), [both], []) for unit in (0, 1)]
    assert labels == ["unclear", "unclear"]
    assert label_of((0, 0), costs(0.051, 0.002, 0.049), [frozenset({(0, 0)})], []) == "alone"
    assert label_of((0, 0), costs(0.6, 0.6, 0.01), [frozenset({(0, 0)})], []) == "cancelled"
    assert label_of((0, 0), costs(0.01, 0.02, 0.4), [both], []) == "together"
