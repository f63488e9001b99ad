"""A result that is made up, whose measuring is counted."""

from dataclasses import replace

from lstm_probe.reproduce.result import Measure, Result


def made(calls: list[int], **changes) -> Result:
    """Return a result whose value is its seed's, and which counts how often it is measured."""

    def measure(seed: int) -> dict[str, float]:
        calls.append(seed)
        return {"score": 0.5 + seed / 10}

    measures = (Measure("score", "made up", "0.6", 0.6, least=0.55),)
    result = Result("made", "made up", "nobody", "nothing", "by hand", measures, measure, 1, trained=False)
    return replace(result, **changes)
