// What the explorer knows: the page's data with its packed numbers read, and what they are in words. No drawing.

// Of each kind of number: how many bytes it has, and how it is read; always little-endian.
const NUMBER_TYPES = { float64: [8, "getFloat64"], float32: [4, "getFloat32"], uint16: [2, "getUint16"], uint8: [1, "getUint8"] };

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

// A number with so many decimals, a dash where it is not known; a half goes to the even digit, as in the tables.
const inWords = (value, digits = 2) => {
  if (!isKnown(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const scaled = Math.abs(value) * 10 ** digits, below = Math.floor(scaled);
  const tie = Number.isInteger(value * 1024) && scaled - below === 0.5 && below % 2 === 0;
  const text = tie ? (Math.sign(value) * below / 10 ** digits).toFixed(digits) : value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
};

const intervalWords = (low, high) => (isKnown(low) && isKnown(high) ? `95 % interval ${inWords(low)} to ${inWords(high)}` : "");

const agoWords = (lag) => (lag ? ` of ${lag} step${lag === 1 ? "" : "s"} ago` : "");

const listWords = (parts) => parts.filter(Boolean).join(", ");

// How a unit holds a signal, and whether a target needs a unit: as in tables.py.
const MARKS = ["", "tracks", "goes with", "holds", "holds along a curve"];
const NEEDS = ["", "needed alone", "needed together", "not needed"];

// The page's data with methods that answer what the drawing asks.
const readExplorer = (data) => {
  const { units, signals, effects, losses } = data, columns = signals.length;
  const matrix = Object.fromEntries(Object.entries(effects).map(([name, packed]) => [name, unpack(packed)]));
  const cost = losses && Object.fromEntries(["drop", "low", "high", "mark"].map((name) => [name, unpack(losses[name])]));
  const targets = losses ? losses.targets : [];
  const held = new Map(data.held.map((one) => [one.unit * columns + one.signal, one]));
  const against = data.against && { ...data.against, strength: unpack(data.against.strength), drop: unpack(data.against.refit_drop) };

  const pair = (unit, signal) => {
    const at = unit * columns + signal, of = (name) => matrix[name][at];
    return { effect: of("effect"), low: of("low"), high: of("high"), untrained: of("untrained"), lag: of("lag"), mark: of("mark"), held: held.get(at) };
  };
  const loss = (unit, target) => {
    const at = unit * targets.length + target;
    return { drop: cost.drop[at], low: cost.low[at], high: cost.high[at], mark: cost.mark[at] };
  };
  const unitName = (unit) => `unit ${units[unit].label}`;
  const ringWords = ({ held: ring, mark }, name) => {
    if (!ring) return mark ? `${MARKS[mark]} ${name}` : "";
    return ring.how === "curve" ? `tracks ${name} along a curve, effect ${inWords(ring.effect)}` : `holds ${name}${agoWords(ring.lag)}, effect ${inWords(ring.effect)}`;
  };
  // "unit 15, count: effect 0.98, 95 % interval 0.97 to 0.99, best of 95 % of untrained units 0.10; tracks count"
  const pairWords = (unit, signal) => {
    const one = pair(unit, signal), { name, scale, testable } = signals[signal];
    const start = `${unitName(unit)}, ${name}${agoWords(one.lag)}: `;
    if (!isKnown(one.effect)) return `${start}effect not known`;
    const level = isKnown(one.untrained) ? `untrained units reach ${inWords(one.untrained)}` : "";
    const told = ringWords(one, name) || (testable ? `not found to track it` : "not testable");
    return `${start}effect ${inWords(one.effect)} (${scale}), ${listWords([intervalWords(one.low, one.high), level, told])}`;
  };
  const lossWords = (unit, target) => {
    const one = loss(unit, target), left = losses.refitted ? "even after the output is brought back to scale" : "as it stands";
    if (!isKnown(one.drop)) return `${unitName(unit)}, ${targets[target]}: what clamping it costs is not known`;
    const start = `${unitName(unit)}, clamped at ${losses.clamped_to}, costs ${targets[target]} ${inWords(one.drop)} of its score ${left}`;
    return listWords([start, intervalWords(one.low, one.high), NEEDS[one.mark]]);
  };
  // "unit 15, tracks count 0.98, needed alone": what a row says.
  const unitWords = (unit) => {
    const { favourite, best, status } = units[unit];
    if (best === null) return `${unitName(unit)}, ${status}`;
    const s = signals.findIndex(({ name }) => name === favourite), one = pair(unit, s);
    const effect = one.held && one.mark > 2 ? one.held.effect : one.effect;
    return `${unitName(unit)}, ${one.held && one.held.how === "earlier" ? "holds" : "tracks"} ${best} ${inWords(effect)}, ${status.replace(/^tracks,? ?/, "")}`.replace(/, $/, "");
  };
  const strongest = (unit) => {
    const { favourite } = units[unit];
    if (favourite !== null) return signals.findIndex(({ name }) => name === favourite);
    const effectsHere = signals.map((_, s) => pair(unit, s).effect).map((effect) => (isKnown(effect) ? effect : -1));
    return effectsHere.indexOf(Math.max(...effectsHere));
  };
  return {
    data, units, signals, targets, losses, pair, loss, pairWords, lossWords, unitWords, unitName, strongest, against,
    tuning: data.tuning.map(readCurve), memory: data.memory.map(readCurve), examples: data.examples && readExamples(data.examples, signals),
    unitAt: (label) => units.findIndex((unit) => unit.label === label),
    signalAt: (name) => signals.findIndex((signal) => signal.name === name),
  };
};

// A curve of all units (see tables.py), its matrices as functions of the unit that give that unit's row.
const readCurve = (curve) => {
  const read = { ...curve };
  for (const [name, packed] of Object.entries(curve)) {
    if (!packed?.data) continue;
    const all = lazily(packed), width = packed.shape[1];
    read[name] = packed.shape.length === 1 ? unpack(packed) : (unit) => all().slice(unit * width, (unit + 1) * width);
  }
  return read;
};

// The example sequences (see sequences.py).
const readExamples = (examples, signals) => {
  const starts = [], { sequences } = examples;
  let steps = 0;
  for (const { steps: own } of sequences) { starts.push(steps); steps += own; }
  const lag = lazily(examples.lag), values = {};
  const truth = examples.signals.map((packed) => packed && lazily(packed));
  for (const [name, packed] of Object.entries(examples.values)) {
    values[name] = { low: unpack(packed.low), high: unpack(packed.high), all: lazily(packed.values) };
  }
  const cut = (all, from, sequence) => all.slice(from + starts[sequence], from + starts[sequence] + sequences[sequence].steps);
  // A unit's variable in a sequence, by step; NaN where it is not known.
  const trace = (variable, unit, sequence) => {
    const { low, high, all } = values[variable], wide = high[unit] - low[unit];
    return cut(all(), unit * steps, sequence).map((code) => (code === 65535 ? NaN : low[unit] + wide * code / 65534));
  };
  const lagOf = (unit, signal) => lag()[unit * signals.length + signal];
  // A signal's true values in a sequence, by step, as they were `back` steps before.
  const signalValues = (signal, sequence, back = 0) => {
    if (!truth[signal]) return null;
    const own = cut(truth[signal](), 0, sequence);
    return own.map((_, t) => (t < back ? NaN : own[t - back]));
  };
  const fits = Object.fromEntries(Object.entries(examples.over).map(([name, list]) => [name, list.map((fit) => fit && { ...fit, all: lazily(fit.terms), width: fit.terms.shape[1] })]));
  // The true signal brought to the scale of a unit's variable, by step; null where nothing does that.
  const truthOver = (variable, unit, signal, sequence) => {
    const fit = fits[variable]?.[signal];
    if (!fit) return null;
    const terms = fit.all().slice(unit * fit.width, (unit + 1) * fit.width);
    return signalValues(signal, sequence, lagOf(unit, signal)).map((y) => {
      if (fit.classes) return isKnown(y) ? terms[fit.classes.indexOf(y)] ?? NaN : NaN;
      return signals[signal].kind === "circular" ? terms[0] + terms[1] * Math.cos(y) + terms[2] * Math.sin(y) : terms[0] + terms[1] * y;
    });
  };
  return { ...examples, lagOf, trace, signalValues, truthOver };
};
