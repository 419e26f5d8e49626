const VERDICTS = { "holds": "holds", "does-not-hold": "does not hold", "not-visible": "not visible",
  "out-of-tolerance": "OUT OF TOLERANCE" };
const every = record.claims.flatMap(claim => claim.rows);
const count = verdict => every.filter(row => row.verdict === verdict).length;
document.getElementById("headline").textContent = `What papers claim about asynchronous SGD: ${record.claims.length} ` +
  `claims, ${record.quick ? "quick" : "full"} effort, seed ${record.seed}, asyncsgd ${record.version}`;
for (const [key, name] of Object.entries(VERDICTS)) figure(String(count(key)), name);
for (const claim of record.claims) {
  const { x: right, y: up, lines } = claim.chart;
  chart(claim.name, claim.name, claim.statement, () => {
    const [x, ys] = joined(lines.map(line => line.points.filter(point => point[1] !== null)));
    return { x, lines: ys.map((y, i) => ({ name: lines[i].name, y })), joined: true, points: true,
      xDistr: right.log ? LOG : LINEAR, yDistr: up.log ? LOG : LINEAR, xName: right.name, yName: up.name };
  });
  table(claim.name, claim.setup, ["", "expected", "measured", "tolerance", "verdict"], claim.rows.map(row =>
    [row.what, row.expected, row.measured === null ? "never" : number(row.measured), row.tolerance, VERDICTS[row.verdict]]));
}
finish();
