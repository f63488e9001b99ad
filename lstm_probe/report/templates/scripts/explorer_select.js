// The part of the page where steps are chosen: the scene, its controls, the units that stay on, the matches.

// A few steps a third into a scene: what is chosen before anything is.
const startIn = ({ lengths }, scene) => {
  const from = Math.floor(lengths[scene] / 3);
  return { scene, from, to: Math.min(from + 3, lengths[scene] - 1) };
};

const startMatching = (place, model, say, goTo) => {
  const scenes = scenesOf(model);
  if (!scenes || !scenes.lengths.some((steps) => steps > 1)) return;
  const state = { ...startIn(scenes, 0), threshold: 1, apart: false };
  const scene = make("div", { class: "scene" }),
    result = make("div", { "aria-live": "polite" });
  const numberField = (label, name) => {
    const field = make("input", { type: "number", min: 0, step: 1, value: state[name] });
    field.addEventListener("change", () => {
      const last = scenes.lengths[state.scene] - 1,
        value = Math.max(0, Math.min(last, Math.round(Number(field.value)) || 0));
      state[name] = value;
      if (state.from > state.to) state[name === "from" ? "to" : "from"] = value;
      show();
    });
    return { field, element: make("label", {}, `${label} `, field) };
  };
  const from = numberField(`from ${scenes.step}`, "from"),
    to = numberField("to", "to");
  const scenePlace = make("span"),
    apart = make("input", { type: "checkbox" });
  const chooseScene = () =>
    scenePlace.replaceChildren(
      chooser(
        "In",
        scenes.lengths.map((_, k) => [k, scenes.name(k)]),
        state.scene,
        (k) => look(startIn(scenes, k)),
      ),
    );
  const strength = chooser(
    "on means",
    [
      [0.5, "half a standard deviation from its mean"],
      [1, "one standard deviation"],
      [2, "two standard deviations"],
    ],
    1,
    (value) => {
      state.threshold = value;
      show();
    },
  );
  apart.addEventListener("change", () => {
    state.apart = apart.checked;
    show();
  });
  const look = (range) => {
    Object.assign(state, range);
    chooseScene();
    show();
  };

  let mark = () => {};
  const select = (a, b, done) => {
    Object.assign(state, { from: a, to: b });
    if (done) show();
    else mark(a, b);
  };
  const drawScene = (shares, on) => {
    const view = model.text
      ? sceneText(model, scenes, state, shares, select)
      : scenePlot(model, scenes, state, on, place.clientWidth, select, say);
    scene.replaceChildren(view.box);
    ({ mark } = view);
    mark(state.from, state.to);
  };
  const show = () => {
    from.field.value = state.from;
    to.field.value = state.to;
    from.field.max = to.field.max = scenes.lengths[state.scene] - 1;
    const levels = scenes.levels(),
      on = onIn(levels, state, state.threshold, state.apart);
    const shares = on.length
      ? shareOn(levels, scenes.lengths, on, state.threshold)
      : scenes.lengths.map((steps) => Array(steps).fill(0));
    drawScene(shares, on);
    if (!on.length) {
      result.replaceChildren(make("p", {}, "No unit stays on over this range: choose a shorter one, or a lower bar."));
      return;
    }
    const links = (side, words) => {
      const own = on.filter((one) => one.side === side);
      return own.length
        ? [`${own.length} ${words}: `, ...own.flatMap(({ unit }, k) => [k ? ", " : "", goTo(unit)]), ". "]
        : [];
    };
    const matches = matchesOf(shares, state),
      few = matches.found.length ? "" : ` Nowhere else at least ${100 * ALIKE} % of them are.`;
    result.replaceChildren(
      make(
        "p",
        {},
        `On from ${scenes.step} ${state.from} to ${state.to}: `,
        ...links(1, "high"),
        ...links(-1, "low"),
        few,
      ),
      matchTable(model, scenes, state, matches, look),
      make(
        "p",
        { class: "small soft" },
        "A look, not a test: of many units some are on anywhere, and whoever looks at many ranges finds some that go with a signal. What units track stands in the map.",
      ),
    );
  };
  place.append(
    make(
      "section",
      { "class": "match", "aria-labelledby": "match-title" },
      make("h3", { id: "match-title" }, "Choose steps: which units are on, and where else?"),
      make(
        "p",
        { class: "small" },
        `Draw over the picture, or type the ${scenes.step}s. Matches are looked for in all that this page holds: ${scenes.lengths.reduce((sum, n) => sum + n, 0)} ${scenes.step}s.`,
      ),
      make(
        "p",
        { class: "controls" },
        scenePlace,
        from.element,
        to.element,
        strength,
        make("label", {}, apart, ` but not just before or after`),
      ),
      scene,
      result,
    ),
  );
  chooseScene();
  show();
  let width = place.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - width) > 40) {
      width = place.clientWidth;
      show();
    }
  }).observe(place);
};

// A stretch of text, coloured by the share of the chosen units that are on.
const sceneText = (model, scenes, state, shares, select) => {
  const characters = model.text.characters[state.scene],
    own = shares[state.scene];
  return textView(
    `${characters.length} characters, coloured by the share of the chosen units that are on`,
    characters,
    own.map((share) => share ** 2),
    null,
    { select },
  );
};

// The memories of units in a sequence, each in its standard deviations; those that stay on stand out.
const scenePlot = (model, scenes, state, on, width, select, say) => {
  const { scene } = state,
    steps = scenes.lengths[scene],
    xs = Array.from({ length: steps }, (_, t) => t),
    levels = scenes.levels();
  const { svg, x, y, box } = plotOf({
    label: `${model.data.variable} of units over ${steps} steps of ${scenes.name(scene)}, ${on.length} of them on from step ${state.from} to ${state.to}`,
    width,
    height: 200,
    xs: [0, Math.max(1, steps - 1)],
    ys: [-3, 3],
    yTicks: [-2, 0, 2],
    xName: "step",
    yName: `${model.data.variable}, standard deviations from its mean`,
    top: 16,
  });
  const range = draw("rect", { class: "range", y: box.top, height: box.bottom - box.top });
  svg.append(range);
  const chosen = new Set(on.map(({ unit }) => unit)),
    quiet = model.units.map((_, k) => k).filter((k) => !chosen.has(k) && !model.units[k].quiet);
  const clipped = (values) => values.map((v) => Math.max(-3, Math.min(3, v)));
  for (const unit of quiet.slice(0, LINES))
    svg.append(draw("path", { class: "other", d: pathOf(xs, clipped(levels[unit][scene]), x, y) }));
  for (const { unit } of on.slice(0, LINES))
    svg.append(
      draw(
        "path",
        { class: "unit", d: pathOf(xs, clipped(levels[unit][scene]), x, y) },
        draw("title", {}, unitWords(model, unit)),
      ),
    );
  const mark = (a, b) => {
    const half = (x(1) - x(0)) / 2;
    range.setAttribute("x", x(a) - half);
    range.setAttribute("width", x(b) - x(a) + 2 * half);
  };
  const at = (event) => {
    const { left, width: shown } = svg.getBoundingClientRect();
    return Math.max(
      0,
      Math.min(
        steps - 1,
        Math.round(
          ((((event.clientX - left) / shown) * width - box.left) / (box.right - box.left)) * Math.max(1, steps - 1),
        ),
      ),
    );
  };
  selecting(svg, at, select);
  svg.addEventListener("pointermove", (event) => {
    const t = at(event),
      told = model.signals.map(({ name }, s) => [name, scenes.signal(s, scene)?.[t]]).filter(([, v]) => isKnown(v));
    say(`step ${t}: ${told.map(([name, v]) => `${name} ${inWords(v)}`).join(", ")}`);
  });
  return { box: svg, mark };
};
