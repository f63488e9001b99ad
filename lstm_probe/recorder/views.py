"""A Recording as other libraries like it: xarray with named dimensions, a tidy table, a summary."""

from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

if TYPE_CHECKING:
    import xarray

    from lstm_probe.recorder.data import Recording

SATURATED_LOW, SATURATED_HIGH = 0.1, 0.9  # of a gate, after Karpathy, Johnson & Fei-Fei 2015
DEAD_RANGE = 1e-3  # a unit whose h moves less than this over all steps shows nothing


def to_xarray(rec: "Recording") -> "xarray.Dataset":
    """Return a Dataset: one variable for each recorded one and each layer and direction.

    Names are `c` where there is one layer and direction, else `layer0_forward_c` and so on. Dimensions are (sequence,
    time, unit), and (sequence, time, output) for h under a projection; steps beyond a sequence's length are NaN;
    `length` is a coordinate.
    """
    import xarray

    single = len(rec.parts) == 1
    arrays = {}
    for part in rec:
        for v in part.variables:
            last = "output" if v == "h" and rec.config.projection else "unit"
            values = part[v].float() if part[v].dtype.itemsize == 2 else part[v]
            values = torch.where(rec.mask.unsqueeze(-1), values, torch.nan)
            name = v if single else f"layer{part.layer}_{part.direction}_{v}"
            arrays[name] = (
                ("sequence", "time", last), values.cpu().numpy(),
                {"long_name": part.cell.meanings[v], "layer": part.layer, "direction": part.direction},
            )  # fmt: skip
    n, time = rec.mask.shape
    coords: dict[str, object] = {"sequence": range(n), "time": range(time),
                                 "length": ("sequence", rec.lengths.cpu().numpy())}  # fmt: skip
    coords |= {"unit": range(rec.config.units)} if any("unit" in a[0] for a in arrays.values()) else {}
    coords |= {"output": range(rec.config.projection)} if any("output" in a[0] for a in arrays.values()) else {}
    return xarray.Dataset(arrays, coords)


def to_frame(rec: "Recording") -> pd.DataFrame:
    """Return a tidy table of real steps: layer, direction, sequence, time, unit, and a column for each variable.

    Under a projection, h has fewer columns than there are units and none of them is a unit's own: it is left out.
    """
    tables = []
    sequence, time = torch.nonzero(rec.mask, as_tuple=True)
    for part in rec:
        names = [v for v in part.variables if v != "h" or not rec.config.projection]
        if not names:
            continue
        width = part[names[0]].shape[-1]
        columns: dict[str, object] = {
            "layer": part.layer,
            "direction": part.direction,
            "sequence": sequence.repeat_interleave(width).cpu().numpy(),
            "time": time.repeat_interleave(width).cpu().numpy(),
            "unit": torch.arange(width, device="cpu").repeat(len(sequence)).numpy(),
        }
        for v in names:
            values = part[v][rec.mask]
            columns[v] = (values.float() if values.dtype.itemsize == 2 else values).flatten().cpu().numpy()
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def summary(rec: "Recording") -> pd.DataFrame:
    """Return one row for each layer, direction, variable and unit, over real steps.

    Columns: mean, std, low, high; for gates `left` and `right`, the share of steps in which it is below 0.1 and above
    0.9 (left- and right-saturated, Karpathy, Johnson & Fei-Fei 2015), for cell inputs the share beyond ∓0.9; `dead`: h
    moves over less than 0.001.
    """
    rows = []
    for part in rec:
        for v in part.variables:
            values = part[v][rec.mask].double()
            low, high = values.min(0).values, values.max(0).values
            told = part.cell.variable(v)
            edge = -SATURATED_HIGH if told.low == -1 else SATURATED_LOW
            gate = told.kind in ("gate", "input") and told.low in (0, -1) and told.high == 1
            table = {
                "layer": part.layer,
                "direction": part.direction,
                "variable": v,
                "unit": range(values.shape[1]),
                "mean": _numpy(values.mean(0)),
                "std": _numpy(values.std(0, correction=0)),
                "low": _numpy(low),
                "high": _numpy(high),
                "left": _numpy((values < edge).double().mean(0)) if gate else torch.nan,
                "right": _numpy((values > SATURATED_HIGH).double().mean(0)) if gate else torch.nan,
                "dead": _numpy(high - low < DEAD_RANGE) if v == "h" else False,
            }
            rows.append(pd.DataFrame(table))
    return pd.concat(rows, ignore_index=True)


def _numpy(values: Tensor) -> object:
    return values.cpu().numpy()
