"""Recurrent cells written down once more, one unit's step at a time, in plain torch; every variable may be held."""

import torch


def gru(w, x, s, held, before=False):
    pre, rec = w["weight_ih"] @ x + w["bias_ih"], w["weight_hh"] @ s["h"]
    n = len(s["h"])
    r = held("r", torch.sigmoid(pre[:n] + rec[:n] + w["bias_hh"][:n]))
    z = held("z", torch.sigmoid(pre[n : 2 * n] + rec[n : 2 * n] + w["bias_hh"][n : 2 * n]))
    if before:
        heard = w["weight_hh"][2 * n :] @ (r * s["h"]) + w["bias_hh"][2 * n :]
    else:
        heard = r * (rec[2 * n :] + w["bias_hh"][2 * n :])
    new = held("n", torch.tanh(pre[2 * n :] + heard))
    return {"h": held("h", (1 - z) * new + z * s["h"])}


def gru_before(w, x, s, held):
    return gru(w, x, s, held, before=True)


def rnn(w, x, s, held):
    return {"h": held("h", torch.tanh(_pre(w, x, s)))}


def rnn_relu(w, x, s, held):
    return {"h": held("h", _pre(w, x, s).clamp(min=0))}


def _pre(w, x, s):
    return w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ s["h"] + w["bias_hh"]


def lstm(w, x, s, held):
    i, f, g, o = _pre(w, x, s).chunk(4)
    i, f = held("i", torch.sigmoid(i)), held("f", torch.sigmoid(f))
    c = held("c", f * s["c"] + i * held("g", torch.tanh(g)))
    return {"h": held("h", held("o", torch.sigmoid(o)) * torch.tanh(c)), "c": c}


def peepholes(w, x, s, held):
    i, f, g, o = _pre(w, x, s).chunk(4)
    p = w["peephole"]
    i = held("i", torch.sigmoid(i + p[0] * s["c"]))
    f = held("f", torch.sigmoid(f + p[1] * s["c"]))
    c = held("c", f * s["c"] + i * held("g", torch.tanh(g)))
    return {"h": held("h", held("o", torch.sigmoid(o + p[2] * c)) * torch.tanh(c)), "c": c}


def no_forget(w, x, s, held):
    i, g, o = _pre(w, x, s).chunk(3)
    c = held("c", s["c"] + held("i", torch.sigmoid(i)) * held("g", torch.tanh(g)))
    return {"h": held("h", held("o", torch.sigmoid(o)) * torch.tanh(c)), "c": c}


def janet(w, x, s, held):
    f, g = _pre(w, x, s).chunk(2)
    i = held("i", torch.sigmoid(1 - f))
    f = held("f", torch.sigmoid(f))
    return {"h": held("h", f * s["h"] + i * held("g", torch.tanh(g)))}


def slstm(w, x, s, held):
    i, f, g, o = _pre(w, x, s).chunk(4)
    n = held("n", torch.log(torch.exp(f + s["n"]) + torch.exp(i)))
    f, i = held("f", torch.exp(f + s["n"] - n)), held("i", torch.exp(i - n))
    c = held("c", f * s["c"] + i * held("g", torch.tanh(g)))
    return {"h": held("h", held("o", torch.sigmoid(o)) * c), "c": c, "n": n}


def _normed(v):
    return (v - v.mean()) / (v.var(correction=0) + 1e-5).sqrt()


def layer_norm(w, x, s, held):
    pre = _normed(w["weight_ih"] @ x) * w["norm_ih"].flatten() + w["bias_ih"]
    pre = pre + _normed(w["weight_hh"] @ s["h"]) * w["norm_hh"].flatten() + w["bias_hh"]
    i, f, g, o = pre.chunk(4)
    i, f, o = held("i", torch.sigmoid(i)), held("f", torch.sigmoid(f)), held("o", torch.sigmoid(o))
    c = held("c", f * s["c"] + i * held("g", torch.tanh(g)))
    return {"h": held("h", o * torch.tanh(_normed(c) * w["norm_c"][0] + w["norm_c"][1])), "c": c}


#: The step by the name of the cell, and what is carried.
STEPS = {
    "gru": (gru, "h"), "gru_reset_before": (gru_before, "h"), "rnn": (rnn, "h"), "rnn_relu": (rnn_relu, "h"),
    "lstm": (lstm, "hc"), "lstm_peepholes": (peepholes, "hc"), "lstm_no_forget": (no_forget, "hc"),
    "janet": (janet, "h"), "slstm": (slstm, "hcn"), "lstm_layer_norm": (layer_norm, "hc"),
}  # fmt: skip


def run(name, module, x, lengths, state, held=None, after=None):
    """Every layer and direction, one sequence at a time: h of every step, the last state, and what each step did.

    Args:
        x: (sequence, time, feature).
        state: (layer and direction, sequence, unit) each.
        held: given layer, side, sequence, step, name and value: the value to go on with.
        after: given layer, side, sequence, step, what a step read, the state before and after: the state to go on with.
    """
    step, carried = STEPS[name]
    sides = 1 + module.bidirectional
    names = {n.split("_l0")[0] for n, _ in module.named_parameters() if n.endswith("_l0")}
    every, shown, last = {}, [], {}
    for s in range(len(x)):
        below = x[s]
        for layer in range(module.num_layers):
            tops = []
            for side in range(sides):
                k = layer * sides + side
                suffix = f"_l{layer}" + "_reverse" * side
                w = {n: getattr(module, n + suffix).detach() for n in names}
                if not module.bias:
                    zeros = w["weight_ih"].new_zeros(len(w["weight_ih"]))
                    w |= {"bias_ih": zeros, "bias_hh": zeros}
                now = {v: one[k, s] for v, one in zip(carried, state)}
                top = below.new_zeros(len(below), module.hidden_size)
                steps = range(int(lengths[s]))
                for t in reversed(steps) if side else steps:

                    def own(v, value, where=(layer, side, s, t)):
                        value = value if held is None else held(*where, v, value.clone())
                        every.setdefault((*where[:3], v), {})[where[3]] = value
                        return value

                    new = step(w, below[t], now, own)
                    now = new if after is None else after(layer, side, s, t, below[t], now, new)
                    top[t] = now["h"]
                last[k, s] = now
                tops.append(top)
            below = torch.cat(tops, dim=-1)
        shown.append(below)
    ends = tuple(
        torch.stack([torch.stack([last[k, s][v] for s in range(len(x))]) for k in range(module.num_layers * sides)])
        for v in carried
    )
    return torch.stack(shown), ends, every
