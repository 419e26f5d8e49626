"use strict";
(() => {
  const record = JSON.parse(document.getElementById("record").textContent);
  const profile = record.profile;
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
  const workerName = w => "worker " + w;
  /** The workers whose lines are drawn: those with the longest delays. */
  const shown = () => {
    const order = record.delay.workers.map((worker, w) => [worker.max, w]).sort((a, b) => b[0] - a[0]);
    return order.slice(0, MOST_LINES).map(pair => pair[1]).sort((a, b) => a - b);
  };
  const some = () => record.delay.workers.length > MOST_LINES
    ? ` The ${MOST_LINES} workers with the longest delays.` : "";

  const density = distribution => distribution.buckets.map(([low, high, n]) =>
    [low, n / distribution.count / (high - low + 1)]);
  const shares = distribution => distribution.buckets.filter(b => b[0] > 0).map(([low, , n]) =>
    [low, n / distribution.count]);
  const shareTick = x => x >= 1e-3 ? percent(x) : x.toExponential(0);
  const percentile = x => x > 10001 ? Math.round(Math.log10(x)) + " nines" : x <= 1 ? "0 %" : trim((100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 1))) + " %";

  const series = record.series;
  const finite = y => y === null || !Number.isFinite(y) ? null : y;
  const objective = (id, title, key, name, format) => chart(id, title, "", () => ({
    x: series.map(p => p[key]), xName: name, xFormat: format, yName: "objective",
    lines: [{ name: "objective", y: series.map(p => finite(p.objective)) }], joined: true, points: series.length < 200,
  }));

  if (profile && profile.delays.count > 0) {
    chart("delay-histogram", "Delays", "How often a gradient was so many updates late." + some(), () => {
      const workers = shown();
      const lists = [density(profile.delays), ...(record.delay.workers.length > 1
        ? workers.map(w => density(profile.worker_delays[w])) : [])];
      const [x, ys] = joined(lists);
      const names = ["all", ...workers.map(workerName)];
      return { x, lines: ys.map((y, i) => ({ name: names[i], colour: workers[i - 1], y })), xDistr: ASINH, yDistr: LOG, joined: true,
        points: true, xName: "delay τ in iterations", yName: "share of updates at a delay", tick: shareTick,
        format: v => percent(v) };
    });
    chart("delay-percentiles", "Percentiles of the delay",
      "By time: of the gradients in flight at a moment chosen at random, so that one long wait counts for its length.",
      () => {
        const curve = profile.delays.curve.map(([q, u, t]) => [1 / (1 - q), u, t]);
        return { x: curve.map(p => p[0]), xDistr: LOG, yDistr: ASINH, steps: false, points: false,
          lines: [{ name: "per update", y: curve.map(p => p[1]) }, { name: "by time", y: curve.map(p => p[2]) }],
          xName: "percentile", xFormat: percentile, yName: "delay τ in iterations" };
      });
    const spans = profile.intervals;
    const metrics = { "largest": "max", "99th percentile": "p99", "mean": "mean", "median": "p50" };
    if (spans.start.length > 0) {
      const seconds = [...spans.start];
      const perWorker = (of, sum) => {
        const workers = shown();
        const lines = workers.map(w => ({ name: workerName(w), colour: w, y: of(w) }));
        return sum ? [{ name: "all", y: sum }, ...lines] : lines;
      };
      chart("delays-over-time", "Delays over time", "In each interval." + some(), choice => ({
        x: seconds, lines: perWorker(w => spans[metrics[choice]][w]), yDistr: ASINH, steps: true, points: spans.start.length < 60,
        xName: "training seconds", yName: "delay τ in iterations" }), Object.keys(metrics));
      chart("staleness-over-time", "Longest staleness over time",
        "Of the sampled updates: from the read of the iteration counter to the end of the write." + some(), () => ({
          x: seconds, lines: perWorker(w => spans.staleness[w]), yDistr: LOG, steps: true, points: spans.start.length < 60,
          xName: "training seconds", yName: "time", format: time }));
      chart("throughput", "Updates per second", some().trim(), () => {
        const rate = (n, i) => n / Math.max(spans.length[i], 1e-9);
        const all = seconds.map((_, i) => rate(spans.updates.reduce((sum, worker) => sum + worker[i], 0), i));
        return { x: seconds, lines: perWorker(w => spans.updates[w].map(rate), all), steps: true, fromZero: 1e-9,
          points: spans.start.length < 60, xName: "training seconds", yName: "updates/s" };
      });
      chart("step-weights", "Step weights",
        "The mean weight that the step rule gave to updates: 1 where delays shortened no step." + some(), () => ({
          x: seconds, lines: perWorker(w => spans.kept_mass[w]), steps: true, fromZero: 1, points: spans.start.length < 60,
          xName: "training seconds", yName: "mean weight" }));
    }
    chart("staleness-histogram", "Wall-clock staleness", "Of the sampled updates, eight points for each doubling.", () => {
      const list = shares(profile.staleness);
      return { x: list.map(p => p[0]), lines: [{ name: "all", y: list.map(p => p[1]) }], xDistr: LOG, yDistr: LOG,
        joined: true, points: true, xName: "staleness", xFormat: time, yName: "share of samples",
        tick: shareTick, format: v => percent(v) };
    });
  }
  if (series.length > 0) {
    objective("objective-time", "Objective against time", "train_seconds", "training seconds");
    objective("objective-epochs", "Objective against epochs", "epoch", "epochs");
  }

  const { plan, machine, data, delay, throughput } = record;
  document.getElementById("headline").textContent =
    `${plan.loss} loss on ${data.path}: ${plan.workers} worker${plan.workers === 1 ? "" : "s"}, step ${plan.step}, ` +
    `${record.time.train_seconds.toPrecision(4)} s of training`;
  const figures = document.getElementById("figures");
  const figure = (value, name) => {
    const card = element("div", figures, undefined, { className: "figure" });
    element("b", card, value);
    element("span", card, name);
  };
  figure(number(record.final.objective), "objective");
  figure(number(throughput.examples_per_second), "examples/s");
  figure(number(throughput.updates_per_second), "updates/s");
  figure(number(delay.mean), `mean delay (n − 1 = ${plan.workers - 1})`);
  figure(`${number(delay.p50)} · ${number(delay.p99)} · ${number(delay.max)}`, "delay p50 · p99 · max");
  figure(number(delay.kept_mass), "kept step mass");
  figure(record.stop, "stopped by");

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
  const delays = (name, d, p) => [name, number(d.count), percent(d.count / Math.max(1, delay.count)), number(d.mean),
    d.p50, d.p90, d.p99, d.p999, d.max, ...(p ? [p.by_time.p50, p.by_time.p99] : []), number(d.kept_mass),
    number(d.failed_attempts / Math.max(1, d.count))].map(String);
  table("Delays in iterations", "", ["", "updates", "share", "mean", "p50", "p90", "p99", "p99.9", "max",
    ...(profile ? ["p50 by time", "p99 by time"] : []), "kept mass", "failed CAS per update"],
    [...delay.workers.map((w, i) => delays(workerName(i), w, profile && profile.worker_delays[i])),
      delays("all", delay, profile && profile.delays)]);
  if (profile) {
    const timing = (name, t) => [name, number(t.samples), time(t.compute[0]), time(t.write[0]), time(t.staleness[0]),
      time(t.staleness[1]), time(t.staleness[2]), number(t.ticket_delay), number(t.writers)];
    table("Where the time goes", `One update in ${number(profile.timing.every)} was timed, which took ` +
      `${percent(profile.timing.cost)} of the workers' time. Ticket-to-ticket: updates begun between the read of the ` +
      "counter and the taking of the own number; writers met: updates that were being written during the read.",
      ["", "samples", "compute", "write", "staleness", "p50", "p99", "ticket-to-ticket", "writers met"],
      [...profile.worker_timings.map((t, i) => timing(workerName(i), t)), timing("all", profile.timing)]);
    if (profile.lost) table("Lost additions", "Counted in a comparison run in which every addition is 1.", null,
      [["additions", number(profile.lost.additions)], ["lost", number(profile.lost.lost) + " (" +
        percent(profile.lost.lost / Math.max(1, profile.lost.additions)) + ")"]], "facts");
    if (profile.injections.length) table("Held back on purpose", "", null, profile.injections.map(i => [i]), "facts");
  }
  const facts = object => Object.entries(object).filter(([, v]) => v !== null && v !== "" && typeof v !== "object" || Array.isArray(v))
    .map(([key, value]) => [key.replaceAll("_", " "), Array.isArray(value) ? value.map(v => v === null ? "–" : v).join(", ") : String(value)]);
  table("Plan", "", null, facts(plan), "facts");
  table("Data", "", null, facts(data), "facts");
  table("Machine", "", null, [...facts(machine), ...facts(record.program)], "facts");
  if (record.warnings.length) table("Warnings", "", null, record.warnings.map(w => [w]), "facts");

  const redraw = () => builders.forEach(build => build());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); redraw(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); redraw(); });
  document.documentElement.dataset.charts = plots.length;
})();
