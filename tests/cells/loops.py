"""Recurrent cells as their papers write them, one unit's sums at a time, in plain NumPy with 64 bits.

Each takes one layer's weights by name, inputs (time, sequence, feature) and the first state, and returns every variable
of every step by its name, (time, sequence, unit).
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.minimum(1, np.maximum(0, 0.2 * x + 0.5))


ACTIVATIONS = {
    "sigmoid": sigmoid, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "linear": lambda x: x,
    "softsign": lambda x: x / (1 + abs(x)), "hard_sigmoid": hard_sigmoid,
    "softplus": lambda x: np.where(x > 20, x, np.logaddexp(0, x)),  # as PyTorch documents its own
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), "exponential": np.exp,
    "leaky_relu:0.1": lambda x: np.where(x > 0, x, 0.1 * x), "scaled_tanh:2:0.5": lambda x: 2 * np.tanh(0.5 * x),
}  # fmt: skip


def block(w, blocks, name, x, h):
    """What stands in one block of rows before its activation."""
    units = h.shape[-1]
    rows = slice(blocks.index(name) * units, (blocks.index(name) + 1) * units)
    out = x @ w["weight_ih"][rows].T + h @ w["weight_hh"][rows].T
    return out + w["bias_ih"][rows] + w["bias_hh"][rows] if "bias_ih" in w else out


def lstm(
    w,
    x,
    state,
    gates="sigmoid",
    input="tanh",
    output="tanh",
    peepholes=False,
    forget=True,
    coupled="",
    clip=None,
    input_gate=True,
    output_gate=True,
):
    h, c = state
    left_out = {gate for gate, there in zip("fio", (forget, input_gate, output_gate)) if not there}
    left_out |= {"i": {"f"}, "f": {"i"}}.get(coupled, set())
    blocks = [gate for gate in "ifgo" if gate not in left_out]
    gate, made, shown = ACTIVATIONS[gates], ACTIVATIONS[input], ACTIVATIONS[output]
    p = w["peephole"] if peepholes else np.zeros((3, h.shape[-1]))

    def clipped(values):
        return values if clip is None else np.clip(values, -clip, clip)

    steps = []
    for now in x:
        i = gate(clipped(block(w, blocks, "i", now, h) + p[0] * c)) if "i" in blocks else None
        f = gate(clipped(block(w, blocks, "f", now, h) + p[1] * c)) if "f" in blocks else None
        f = 1 - i if coupled == "i" else np.ones_like(h) if f is None else f
        i = 1 - f if coupled == "f" else np.ones_like(h) if i is None else i
        g = made(clipped(block(w, blocks, "g", now, h)))
        c = f * c + i * g
        o = gate(clipped(block(w, blocks, "o", now, h) + p[2] * c)) if "o" in blocks else np.ones_like(h)
        h = o * shown(c)
        steps.append({"h": h, "c": c, "i": i, "f": f, "g": g, "o": o})
    return by_name(steps)


def layer_norm(w, x, state):
    h, c = state

    def normed(values, gain):
        mean, variance = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
        return (values - mean) / np.sqrt(variance + 1e-5) * gain.ravel()

    steps = []
    for now in x:
        pre = normed(now @ w["weight_ih"].T, w["norm_ih"]) + normed(h @ w["weight_hh"].T, w["norm_hh"])
        pre = pre + w["bias_ih"] + w["bias_hh"] if "bias_ih" in w else pre
        i, f, g, o = np.split(pre, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(normed(c, w["norm_c"][0]) + w["norm_c"][1])
        steps.append({"h": h, "c": c, "i": i, "f": f, "g": g, "o": o})
    return by_name(steps)


def gru(w, x, state, gates="sigmoid", input="tanh", reset_before=False, clip=None):
    (h,) = state
    units = h.shape[-1]
    gate, made = ACTIVATIONS[gates], ACTIVATIONS[input]
    w_n, u_n = w["weight_ih"][2 * units :], w["weight_hh"][2 * units :]
    b_n, d_n = (w[k][2 * units :] if k in w else 0 for k in ("bias_ih", "bias_hh"))

    def clipped(values):
        return values if clip is None else np.clip(values, -clip, clip)

    steps = []
    for now in x:
        r = gate(clipped(block(w, "rzn", "r", now, h)))
        z = gate(clipped(block(w, "rzn", "z", now, h)))
        heard = (r * h) @ u_n.T + d_n if reset_before else r * (h @ u_n.T + d_n)
        n = made(clipped(now @ w_n.T + b_n + heard))
        h = (1 - z) * n + z * h
        steps.append({"h": h, "r": r, "z": z, "n": n})
    return by_name(steps)


def rnn(w, x, state, input="tanh", clip=None):
    (h,) = state
    steps = []
    for now in x:
        pre = block(w, "h", "h", now, h)
        h = ACTIVATIONS[input](pre if clip is None else np.clip(pre, -clip, clip))
        steps.append({"h": h})
    return by_name(steps)


def janet(w, x, state, beta=1.0):
    (h,) = state
    steps = []
    for now in x:
        s, g = block(w, "fg", "f", now, h), np.tanh(block(w, "fg", "g", now, h))
        h = sigmoid(s) * h + (1 - sigmoid(s - beta)) * g
        steps.append({"h": h, "f": sigmoid(s), "i": 1 - sigmoid(s - beta), "g": g})
    return by_name(steps)


def slstm(w, x, gate="exponential"):
    """Equations 8 to 17 of Beck and others 2024, with their stabiliser; starts with nothing remembered."""
    units = w["weight_hh"].shape[-1]
    h, c, n, m = (np.zeros((x.shape[1], units)) for _ in range(4))
    m = m - np.inf
    steps = []
    for now in x:
        i, f = block(w, "ifgo", "i", now, h), block(w, "ifgo", "f", now, h)
        z, o = np.tanh(block(w, "ifgo", "g", now, h)), sigmoid(block(w, "ifgo", "o", now, h))
        log_f = f if gate == "exponential" else np.log(sigmoid(f))
        new = np.maximum(log_f + m, i)
        stable_i, stable_f = np.exp(i - new), np.exp(log_f + m - new)
        before = n
        c, n, m = stable_f * c + stable_i * z, stable_f * n + stable_i, new
        h = o * c / n
        steps.append({"h": h, "c": c / n, "i": stable_i / n, "f": stable_f * before / n, "g": z, "o": o,
                      "n": np.log(n) + m})  # fmt: skip
    return by_name(steps)


def by_name(steps):
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
