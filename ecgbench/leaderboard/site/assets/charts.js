
const WIDTH = 420, HEIGHT = 300, LEFT = 52, RIGHT = 24, TOP = 10, BOTTOM = 40;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const MOST_SERIES = 8;
const CURVES = [
  { name: "roc", title: "ROC", x: "false positive rate", y: "true positive rate" },
  { name: "precision_recall", title: "Precision and recall", x: "recall", y: "precision" },
  { name: "precision_at_k", title: "P@k", x: "k as a share of all items", y: "precision in the top k" },
];

/** Axes from `least` to 1 upwards, and whatever scale `ticks` ([where, text] with where in 0..1) says to the right. */
function drawAxes({ x, y, ticks, width = WIDTH, least = 0 }) {
  const across = (share) => LEFT + share * (width - LEFT - RIGHT);
  const up = (one) => HEIGHT - BOTTOM - (one - least) / (1 - least) * (HEIGHT - TOP - BOTTOM);
  const parts = [0, 0.25, 0.5, 0.75, 1].map((share) => least + share * (1 - least)).map((at) => [
    draw("line", { class: "grid", x1: across(0), x2: across(1), y1: up(at), y2: up(at) }),
    draw("text", { x: LEFT - 6, y: up(at) + 4, "text-anchor": "end" }, String(Number(at.toFixed(3)))),
  ]);
  parts.push(ticks.map(([at, shown]) => [
    draw("line", { class: "grid", x1: across(at), x2: across(at), y1: up(least), y2: up(1) }),
    draw("text", { x: across(at), y: up(least) + 16, "text-anchor": "middle" }, shown),
  ]));
  parts.push(draw("text", { x: across(0.5), y: HEIGHT - 6, "text-anchor": "middle" }, x));
  const middle = (up(least) + up(1)) / 2;
  parts.push(draw("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${middle}) rotate(-90)` }, y));
  return { across, up, parts };
}

function drawFigure(title, label, width, parts) {
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label }, parts);
  return make("figure", {}, make("figcaption", {}, title), svg);
}

/** Curves of the chosen rows; a row without curves is left out, never drawn as zeros. */
function drawCurves({ name, title, x, y }, chosen, sanityRow) {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((at) => [at, String(at)]);
  const { across, up, parts } = drawAxes({ x, y, ticks });
  const places = board.places[name];
  const path = (values) => values.map((one, at) => `${at ? "L" : "M"}${across(places[at]).toFixed(1)} ${up(one).toFixed(1)}`).join("");
  const chance = sanityRow?.curves[name];
  if (chance) parts.push(draw("path", { class: "chance", d: path(chance) }, draw("title", {}, "chance")));
  const drawn = chosen.filter(([row]) => row.curves[name]);
  for (const [row, series] of drawn) {
    const attributes = { class: `curve series-${series}`, d: path(row.curves[name]), "stroke-dasharray": DASHES[series % DASHES.length] };
    parts.push(draw("path", attributes, draw("title", {}, row.name)));
  }
  const label = `${title}: ${y} over ${x} of ${drawn.map(([row]) => row.name).join(", ") || "no detector"}`;
  return drawFigure(title, label, WIDTH, parts);
}

/** Mean seconds of a cell, by powers of ten, against AUROC; the harness's own rows cost nothing and are left out. */
function drawCost(rows, chosen, width) {
  const timed = rows.filter((row) => !row.sanity && row.seconds !== null && readAuroc(row) !== null);
  const exponent = (row) => Math.log10(Math.max(row.seconds, 0.001));
  const low = Math.floor(Math.min(0, ...timed.map(exponent))), high = Math.ceil(Math.max(low + 1, ...timed.map(exponent)));
  const ticks = Array.from({ length: high - low + 1 }, (_, at) => [at / (high - low), showPower(low + at)]);
  const least = Math.floor(Math.min(0.5, ...timed.map((row) => readAuroc(row)[0])) * 10) / 10;
  const { across, up, parts } = drawAxes({ x: "seconds a cell (logarithmic)", y: "AUROC", ticks, width, least });
  const series = new Map(chosen);
  const labels = [];
  const inFront = [...timed].sort((a, b) => series.has(a) - series.has(b)); // the chosen ones above the others
  for (const row of inFront) {
    const x = across((exponent(row) - low) / (high - low)), y = up(readAuroc(row)[0]);
    const name = series.has(row) ? `series-${series.get(row)}` : "series-none";
    const title = draw("title", {}, `${showName(row)}: AUROC ${readAuroc(row)[1]}, ${showSeconds(row.seconds)} s`);
    parts.push(draw("circle", { class: `point ${name}`, cx: x.toFixed(1), cy: y.toFixed(1), r: 6, click: () => openDetails(row) }, title));
    if (series.has(row)) labels.push({ x, y, name, text: showName(row) });
  }
  parts.push(placeLabels(labels, width).map(({ x, y, name, anchor, text }) =>
    draw("text", { class: `label ${name}`, x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor }, text)));
  return drawFigure("", `AUROC over seconds of ${timed.length} detectors; the table holds the same numbers`, width, parts);
}

/** Put labels beside their points, downwards where one would lie on another. */
function placeLabels(labels, width) {
  const taken = [];
  return labels.sort((a, b) => a.y - b.y).map(({ x, y, name, text }) => {
    const shown = text.length > 40 ? `${text.slice(0, 39)}…` : text;
    const size = shown.length * 6.5, isLeft = x + 10 + size > width;
    const from = isLeft ? x - 10 - size : x + 10;
    let at = y + 4;
    while (taken.some((one) => Math.abs(one.at - at) < 14 && one.from < from + size && from < one.to)) at += 2;
    taken.push({ at, from, to: from + size });
    return { x: isLeft ? x - 10 : x + 10, y: at, name, anchor: isLeft ? "end" : "start", text: shown };
  });
}

const showPower = (exponent) => exponent < 0 ? (10 ** exponent).toFixed(-exponent) : String(10 ** exponent);
