// What all pages share: numbers, charts, tables. Runs in the scope of the page's own script, which follows.
const record = JSON.parse(document.getElementById("record").textContent);
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#8a5fbf", "#7a8794"];
const DARK = ["#4db2f0", "#ff8a3d", "#2fd0a0", "#eaa0c8", "#e0b93a", "#9bd6f7", "#bb97e8", "#aab5c2"];
const MOST_LINES = 12;
const builders = [];
const plots = [];

const element = (name, parent, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  Object.assign(made, attributes);
  parent.append(made);
  return made;
};
const trim = text => text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
const number = value => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]])
    if (size >= unit) return trim((value / unit).toPrecision(4)) + " " + letter;
  if (size >= 1e4) return trim((value / 1e3).toPrecision(4)) + " k";
  if (size > 0 && size < 1e-3) return value.toExponential(2);
  return trim(value.toPrecision(Math.abs(value) >= 1000 ? 5 : 4));
};
const time = ns => {
  if (ns === null || ns === undefined) return "–";
  if (ns >= 1e12) return number(ns / 1e9) + " s";
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
    if (ns >= unit) return trim((ns / unit).toPrecision(3)) + " " + name;
  return trim(ns.toPrecision(3)) + " ns";
};
const percent = share => trim((100 * share).toPrecision(4)) + " %";

const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const LINEAR = 1, LOG = 3, ASINH = 4;

/** The marks of a logarithmic axis: 0, powers of ten, and 2 and 5 times those where they are few. */
const decades = (low, high) => {
  const marks = low <= 0 ? [0] : [];
  const first = Math.floor(Math.log10(Math.max(low, low <= 0 ? 1 : low)));
  const last = Math.floor(Math.log10(Math.max(high, 1e-300)));
  const steps = last - first < 2 ? [1, 2, 5] : [1];
  const jump = Math.max(1, Math.ceil((last - first) / 9));
  for (let power = first; power <= last; power += jump)
    for (const step of steps) marks.push(Number((step * 10 ** power).toPrecision(1)));
  return marks.filter(mark => mark >= low && mark <= high);
};

/** A chart: `build` gives {x, lines: [{name, y, …}], …}, again whenever it is redrawn. */
const chart = (id, title, note, build, choices) => {
  const card = element("div", document.getElementById("charts"), undefined, { className: "chart", id });
  let choice = choices && choices[0];
  if (choices) {
    const select = element("select", card, undefined, { ariaLabel: "What to show: " + title });
    for (const name of choices) element("option", select, name);
    select.onchange = () => { choice = select.value; draw(); };
  }
  element("h2", card, title);
  if (note) element("p", card, note, { className: "note" });
  const place = element("div", card, undefined, { className: "plot" });
  let plot;
  const draw = () => {
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches &&
      !document.documentElement.classList.contains("print");
    const colours = isDark ? DARK : LIGHT;
    if (plot) { plots.splice(plots.indexOf(plot), 1); plot.destroy(); }
    const made = build(choice);
    const label = made.format || number;
    const axis = (format, name, distr) => ({
      stroke: style("--faint"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") },
      label: name, labelSize: 18, labelFont: "12px system-ui", font: "11px system-ui",
      values: (_, splits) => splits.map(v => v === null ? "" : format(v)),
      splits: distr === LINEAR ? undefined : (u, i, low, high) => decades(low, high),
    });
    const options = {
      width: Math.max(280, card.clientWidth - 24), height: 250,
      scales: {
        x: { time: false, distr: made.xDistr || LINEAR,
          range: made.xDistr === ASINH ? (u, low, high) => [low, Math.max(1, high)] : undefined },
        y: { distr: made.yDistr || LINEAR, range: made.yDistr === LOG ? undefined : (u, low, high) =>
          made.yDistr === ASINH ? [0, Math.max(1, high * 1.2)] : made.fromZero ? [0, Math.max(high * 1.05, made.fromZero)]
            : low === high ? [low - 1, high + 1] : [low - .03 * (high - low), high + .05 * (high - low)] },
      },
      axes: [axis(made.xTick || made.xFormat || number, made.xName, made.xDistr || LINEAR),
        { ...axis(made.tick || label, made.yName, made.yDistr || LINEAR), size: 62 }],
      series: [{ label: made.xName, value: (_, v) => v === null ? "–" : (made.xFormat || number)(v) },
        ...made.lines.map((line, i) => ({
          label: line.name, stroke: line.name === "all" ? style("--ink") : colours[(line.colour ?? i) % colours.length],
          width: 1.5, dash: (line.colour ?? i) >= colours.length ? [6, 3] : undefined, spanGaps: !!made.joined,
          paths: made.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: { show: made.points !== undefined ? made.points : undefined, size: 4 },
          value: (_, v) => v === null ? "–" : label(v),
        }))],
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
    };
    plot = new uPlot(options, [made.x, ...made.lines.map(line => line.y)], place);
    plots.push(plot);
  };
  builders.push(draw);
  draw();
  new ResizeObserver(() => {
    const width = Math.max(280, card.clientWidth - 24);
    if (plot && Math.abs(plot.width - width) > 1) plot.setSize({ width, height: 250 });
  }).observe(card);
};

/** Joins lists of [x, y] into one list of x and a y for each line. */
const joined = lists => {
  const x = [...new Set(lists.flatMap(list => list.map(p => p[0])))].sort((a, b) => a - b);
  const ys = lists.map(list => { const at = new Map(list); return x.map(v => at.has(v) ? at.get(v) : null); });
  return [x, ys];
};
const figures = document.getElementById("figures");
const figure = (value, name) => {
  const card = element("div", figures, undefined, { className: "figure" });
  element("b", card, value);
  element("span", card, name);
};
const tables = document.getElementById("tables");
const table = (title, note, head, rows, kind = "") => {
  element("h2", tables, title);
  if (note) element("p", tables, note, { className: "note" });
  const box = element("div", tables, undefined, { className: "scroll" });
  const made = element("table", box, undefined, { className: "data " + kind });
  if (head) { const row = element("tr", element("thead", made)); for (const cell of head) element("th", row, cell); }
  const body = element("tbody", made);
  for (const cells of rows) { const row = element("tr", body); for (const cell of cells) element("td", row, cell); }
};

/** When everything is drawn: draws it again for other colours and for paper. */
const finish = () => {
  const redraw = () => builders.forEach(build => build());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); redraw(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); redraw(); });
  document.documentElement.dataset.charts = plots.length;
};
