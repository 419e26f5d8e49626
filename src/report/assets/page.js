const profile = record.profile;
const simulation = record.simulation;
// Who tells how delays were distributed.
const told = profile || simulation;
const clock = simulation ? "virtual seconds" : "training seconds";
const measure = simulation ? simulation.measure : "objective";
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
  x: series.map(p => p[key]), xName: name, xFormat: format, yName: measure,
  yDistr: measure === "objective" ? LINEAR : LOG, lines: [{ name: measure, y: series.map(p => finite(p.objective)) }], joined: true, points: series.length < 200,
}));

if (told && told.delays.count > 0) {
  chart("delay-histogram", "Delays", "How often a gradient was so many updates late." + some(), () => {
    const workers = shown();
    const lists = [density(told.delays), ...(record.delay.workers.length > 1
      ? workers.map(w => density(told.worker_delays[w])) : [])];
    const [x, ys] = joined(lists);
    const names = ["all", ...workers.map(workerName)];
    return { x, lines: ys.map((y, i) => ({ name: names[i], colour: workers[i - 1], y })), xDistr: ASINH, yDistr: LOG, joined: true,
      points: true, xName: "delay τ in iterations", yName: "share of updates at a delay", tick: shareTick,
      format: v => percent(v) };
  });
  chart("delay-percentiles", "Percentiles of the delay",
    "By time: of the gradients in flight at a moment chosen at random, so that one long wait counts for its length.",
    () => {
      const curve = told.delays.curve.map(([q, u, t]) => [1 / (1 - q), u, t]);
      return { x: curve.map(p => p[0]), xDistr: LOG, yDistr: ASINH, steps: false, points: false,
        lines: [{ name: "per update", y: curve.map(p => p[1]) }, { name: "by time", y: curve.map(p => p[2]) }],
        xName: "percentile", xFormat: percentile, yName: "delay τ in iterations" };
    });
}
if (profile && profile.delays.count > 0) {
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
  objective("objective-time", "Objective against time", "train_seconds", clock);
  objective("objective-epochs", "Objective against epochs", "epoch", "epochs");
}

const { plan, machine, data, delay, throughput } = record;
document.getElementById("headline").textContent =
  (simulation ? simulation.problem : `${plan.loss} loss on ${data.path}`) +
  `: ${plan.workers} worker${plan.workers === 1 ? "" : "s"}, step ${plan.step}, ` +
  (simulation ? `${simulation.algorithm}, speeds ${simulation.speeds}, ${number(record.time.train_seconds)} virtual seconds`
    : `${record.time.train_seconds.toPrecision(4)} s of training`);
figure(number(record.final.objective), measure);
figure(number(throughput.examples_per_second), "examples/s");
figure(number(throughput.updates_per_second), "updates/s");
const busy = delay.expected_mean == null ? "" : ` (n − 1 = ${delay.concurrency - 1})`;
figure(number(delay.mean), `mean delay${busy}`);
figure(`${number(delay.p50)} · ${number(delay.p99)} · ${number(delay.max)}`, "delay p50 · p99 · max");
figure(number(delay.kept_mass), "kept step mass");
figure(record.stop, "stopped by");

const delays = (name, d, p) => [name, number(d.count), percent(d.count / Math.max(1, delay.count)), number(d.mean),
  d.p50, d.p90, d.p99, d.p999, d.max, ...(p ? [p.by_time.p50, p.by_time.p99] : []), number(d.kept_mass),
  number(d.failed_attempts / Math.max(1, d.count))].map(String);
table("Delays in iterations", "", ["", "updates", "share", "mean", "p50", "p90", "p99", "p99.9", "max",
  ...(told ? ["p50 by time", "p99 by time"] : []), "kept mass", "failed CAS per update"],
  [...delay.workers.map((w, i) => delays(workerName(i), w, told && told.worker_delays[i])),
    delays("all", delay, told && told.delays)]);
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
if (simulation) {
  const moment = m => m ? `${number(m.seconds)} virtual seconds, ${number(m.iteration)} updates, ${number(m.gradients)} gradients` : "never";
  table("Simulation", "", null, [...facts({ ...simulation, gradients: "", kept: "", worker_delays: "" }),
    ...(simulation.target === null ? [] : [["first hit", moment(simulation.first_hit)], ["settled", moment(simulation.settled)]]),
    ["end", moment(simulation.end)],
    ...(simulation.tuned ? [["tuned", `${simulation.tuned.tried.length} rates: ${number(simulation.tuned.rate)}`]] : [])], "facts");
}
table("Plan", "", null, facts(plan), "facts");
table("Data", "", null, facts(data), "facts");
table("Machine", "", null, [...facts(machine), ...facts(record.program)], "facts");
if (record.warnings.length) table("Warnings", "", null, record.warnings.map(w => [w]), "facts");
finish();
