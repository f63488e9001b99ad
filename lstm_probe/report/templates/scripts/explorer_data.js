// What the explorer knows: the page's data with its packed numbers read. No drawing.

// Of each kind of number: how many bytes it has, and how it is read; always little-endian.
const NUMBER_TYPES = {
  float64: [8, "getFloat64"],
  float32: [4, "getFloat32"],
  uint16: [2, "getUint16"],
  uint8: [1, "getUint8"],
};

// A packed array (see packing.py) as an Array of numbers, row after row.
const unpack = (packed) => {
  const [width, read] = NUMBER_TYPES[packed.type];
  const bytes = Uint8Array.from(atob(packed.data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / width }, (_, k) => view[read](width * k, true));
};

// Each of these packed arrays is read when it is first asked for.
const lazily = (packed) => {
  let read = null;
  return () => (read ??= unpack(packed));
};

const isKnown = (value) => typeof value === "number" && !Number.isNaN(value);

// The page's data with methods that answer what the drawing asks.
const readExplorer = (data) => {
  const { units, signals, losses } = data;
  const targets = losses ? losses.targets : [];
  const told = readMatrices(data.effects, signals.length);
  const lost = losses && readMatrices(losses, targets.length);
  const held = new Map(data.held.map((one) => [one.unit * signals.length + one.signal, one]));
  const model = {
    data,
    units,
    signals,
    targets,
    losses,
    // What a unit tells of a signal, and what clamping it costs a target.
    pair: (unit, signal) => ({ ...told(unit, signal), held: held.get(unit * signals.length + signal) }),
    loss: (unit, target) => lost(unit, target),
    against: data.against && {
      ...data.against,
      strength: unpack(data.against.strength),
      drop: unpack(data.against.refit_drop),
    },
    tuning: data.tuning.map(readCurve),
    memory: data.memory.map(readCurve),
    examples: data.examples && readExamples(data.examples, signals),
    text: readText(data.text),
    unitAt: (label) => units.findIndex((unit) => unit.label === label),
    signalAt: (name) => signals.findIndex((signal) => signal.name === name),
  };
  // The signal that a unit holds best, else the one that it tells most of.
  model.strongest = (unit) => {
    const favourite = model.signalAt(units[unit].favourite);
    if (favourite >= 0) return favourite;
    const effects = signals.map((_, signal) => model.pair(unit, signal).effect).map((one) => (isKnown(one) ? one : -1));
    return effects.indexOf(Math.max(...effects));
  };
  return model;
};

// Packed matrices of so many columns, as a function of row and column that gives the number in each, by name.
const readMatrices = (packed, columns) => {
  const read = Object.entries(packed)
    .filter(([, one]) => one?.data)
    .map(([name, one]) => [name, unpack(one)]);
  return (row, column) => Object.fromEntries(read.map(([name, all]) => [name, all[row * columns + column]]));
};

// A curve of all units (see tables.py), its matrices as functions of the unit that give that unit's row.
const readCurve = (curve) => {
  const read = { ...curve };
  for (const [name, packed] of Object.entries(curve)) {
    if (!packed?.data) continue;
    const all = lazily(packed);
    const width = packed.shape[1];
    read[name] = packed.shape.length === 1 ? unpack(packed) : (unit) => all().slice(unit * width, (unit + 1) * width);
  }
  return read;
};

// The example sequences (see sequences.py).
const readExamples = (examples, signals) => {
  const starts = [];
  const { sequences } = examples;
  let steps = 0;
  for (const { steps: own } of sequences) {
    starts.push(steps);
    steps += own;
  }
  const lag = lazily(examples.lag);
  const values = {};
  const truth = examples.signals.map((packed) => packed && lazily(packed));
  for (const [name, packed] of Object.entries(examples.values)) {
    values[name] = { low: unpack(packed.low), high: unpack(packed.high), all: lazily(packed.values) };
  }
  const cut = (all, from, sequence) =>
    all.slice(from + starts[sequence], from + starts[sequence] + sequences[sequence].steps);
  // A unit's variable in a sequence, by step; NaN where it is not known.
  const trace = (variable, unit, sequence) => {
    const { low, high, all } = values[variable];
    const wide = high[unit] - low[unit];
    return cut(all(), unit * steps, sequence).map((code) => (code === 65535 ? NaN : low[unit] + (wide * code) / 65534));
  };
  const lagOf = (unit, signal) => lag()[unit * signals.length + signal];
  // A signal's true values in a sequence, by step, as they were `back` steps before.
  const signalValues = (signal, sequence, back = 0) => {
    if (!truth[signal]) return null;
    const own = cut(truth[signal](), 0, sequence);
    return own.map((_, t) => (t < back ? NaN : own[t - back]));
  };
  const fits = Object.fromEntries(
    Object.entries(examples.over).map(([name, list]) => [
      name,
      list.map((fit) => fit && { ...fit, all: lazily(fit.terms), width: fit.terms.shape[1] }),
    ]),
  );
  // The true signal brought to the scale of a unit's variable, by step; null where nothing does that.
  const truthOver = (variable, unit, signal, sequence) => {
    const fit = fits[variable]?.[signal];
    if (!fit) return null;
    const terms = fit.all().slice(unit * fit.width, (unit + 1) * fit.width);
    return signalValues(signal, sequence, lagOf(unit, signal)).map((y) => {
      if (fit.classes) return isKnown(y) ? (terms[fit.classes.indexOf(y)] ?? NaN) : NaN;
      return signals[signal].kind === "circular"
        ? terms[0] + terms[1] * Math.cos(y) + terms[2] * Math.sin(y)
        : terms[0] + terms[1] * y;
    });
  };
  return { ...examples, lagOf, trace, signalValues, truthOver };
};
