// Elements and plain plots. Names are data: they only ever become text and attributes.

const SVG = "http://www.w3.org/2000/svg";

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

// An HTML element; children are elements or text.
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

// An SVG element.
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A function from one range of numbers to another.
const scaleOf =
  ([from, to], [start, end]) =>
  (value) =>
    start + (to === from ? 0.5 : (value - from) / (to - from)) * (end - start);

// The least and the greatest of what is known of several lists; 0 to 1 where nothing is.
const rangeOf = (...lists) => {
  let low = Infinity;
  let high = -Infinity;
  for (const list of lists)
    for (const value of list ?? []) {
      if (Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  return low > high ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high];
};

// Round numbers within a range, about so many.
const ticksOf = ([low, high], count = 4) => {
  const raw = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5].find((k) => k * unit >= raw) ?? 10);
  const made = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1)
    made.push(Number((k * step).toPrecision(12)));
  return made;
};

// A line's path through points; unknown ones leave a gap. `steps`: it stays until the middle to the next, then jumps.
const pathOf = (xs, ys, x, y, steps = false) => {
  let path = "";
  let on = false;
  xs.forEach((at, k) => {
    if (!isKnown(ys[k])) {
      on = false;
      return;
    }
    const px = x(at).toFixed(1);
    const py = y(ys[k]).toFixed(1);
    if (!on) path += `M${px} ${py}`;
    else path += steps ? `H${((x(xs[k - 1]) + x(at)) / 2).toFixed(1)}V${py}H${px}` : `L${px} ${py}`;
    // A known value between unknown ones is a short dash.
    if (!on && !isKnown(ys[k + 1])) path += "h1.5";
    on = true;
  });
  return path;
};

// An empty plot with axes: the drawing, its inner box, and what brings values to places. Sizes are in CSS pixels.
const plotOf = ({
  label,
  width = 320,
  height = 120,
  xs,
  ys,
  left = 44,
  bottom = 20,
  top = 8,
  right = 8,
  xTicks = null,
  yTicks = null,
  xName = "",
  yName = "",
  xText = String,
  yText = String,
  xScale = null,
  yScale = null,
}) => {
  const box = { left, top, right: width - right, bottom: height - bottom - (xName ? 14 : 0) };
  const x = xScale ?? scaleOf(xs, [box.left, box.right]);
  const y = yScale ?? scaleOf(ys, [box.bottom, box.top]);
  const svg = draw("svg", { "viewBox": `0 0 ${width} ${height}`, "role": "img", "aria-label": label, "class": "plot" });
  for (const tick of yTicks ?? ticksOf(ys, height < 90 ? 2 : 4)) {
    svg.append(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }));
    svg.append(draw("text", { class: "tick end", x: box.left - 4, y: y(tick) + 3.5 }, yText(tick)));
  }
  for (const tick of xTicks ?? ticksOf(xs, 6)) {
    svg.append(draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 3 }));
    svg.append(draw("text", { class: "tick middle", x: x(tick), y: box.bottom + 14 }, xText(tick)));
  }
  svg.append(draw("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  if (xName) svg.append(draw("text", { class: "tick middle", x: (box.left + box.right) / 2, y: height - 3 }, xName));
  if (yName) svg.append(draw("text", { class: "tick", x: 0, y: 9 }, yName));
  return { svg, box, x, y };
};

// A line in a legend: a sample and what it is. The sample's looks are those of its class.
const legendOf = (entries) =>
  make(
    "p",
    { class: "legend" },
    ...entries.map(([kind, text]) =>
      make(
        "span",
        {},
        fill(draw("svg", { "viewBox": "0 0 26 10", "class": "sample", "aria-hidden": "true" }), {}, [
          draw("path", { class: kind, d: "M1 5H25" }),
        ]),
        text,
      ),
    ),
  );

const figureOf = (title, ...content) => make("figure", { class: "panel" }, make("figcaption", {}, title), ...content);
