/* The brief page of a run: a curve for each backend above each table, drawn from the table's own numbers; and from the
   run's data most of the rest of the report: the study's other figures, parity, validity, environment, blocks.
   Shapes, dashes and class names are those of scripts/report/charts.py, so that charts.css styles these, too. */
"use strict";

const { NOTHING, count, drawing, element, plain, row, table } = benchText;
const LOOKS = document.getElementById("rest").dataset.looks.split(",").map(Number); // of each backend its colour and marker
const WIDTH = 640, HEIGHT = 372, LEFT = 64, RIGHT = 16, TOP = 44, BOTTOM = 96;

/* Round numbers from 0 up to at least `top`: steps of 1, 2 or 5 times a power of ten. */
function ticks(top) {
  if (!(top > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(top / 5));
  const step = [1, 2, 5, 10, 20].map((factor) => factor * power).find((size) => size * 5 >= top);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, number) => Number((number * step).toPrecision(12)));
}

/* A table as numbers; what is no number is null, and a gap in its line. */
function read(table) {
  const labels = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent).slice(1);
  const number = (cell) => {
    const value = Number.parseFloat(cell.textContent.replaceAll(",", ""));
    return Number.isFinite(value) ? value : null;
  };
  const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, number));
  return { title: table.caption.textContent, labels, xs: rows.map((row) => row[0]), series: labels.map((_, i) => rows.map((row) => row[i + 1])) };
}

function line(xs, ys, x, y) {
  let path = "", pen = "M";
  xs.forEach((at, i) => {
    if (ys[i] === null) { pen = "M"; return; }
    path += `${pen}${x(at).toFixed(1)} ${y(ys[i]).toFixed(1)} `;
    pen = "L";
  });
  return path;
}

function drawn({ title, labels, xs, series }) {
  const marks = ticks(Math.max(0, ...series.flat().filter((value) => value !== null)));
  const x = (value) => LEFT + (value / Math.max(...xs, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / marks.at(-1)) * (HEIGHT - TOP - BOTTOM);
  const svg = drawing("svg", { class: "pygal-chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, against concurrent users` });
  svg.append(drawing("text", { class: "title plot_title", x: WIDTH / 2, y: 24 }, title));
  const axisY = drawing("g", { class: "axis y" }), axisX = drawing("g", { class: "axis x" });
  for (const mark of marks) {
    axisY.append(drawing("path", { class: "guide", d: `M${LEFT} ${y(mark)} H${WIDTH - RIGHT}` }));
    axisY.append(drawing("text", { x: LEFT - 8, y: y(mark) + 4 }, mark.toLocaleString("en", { maximumFractionDigits: 12 })));
  }
  const stride = Math.ceil(xs.length / 12) || 1;
  xs.filter((_, i) => (i + 1) % stride === 0).forEach((at) => axisX.append(drawing("text", { x: x(at), y: HEIGHT - BOTTOM + 20 }, at)));
  axisX.append(drawing("path", { class: "line", d: `M${LEFT} ${y(0)} H${WIDTH - RIGHT}` }));
  axisX.append(drawing("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - BOTTOM + 40 }, "concurrent users"));
  svg.append(axisY, axisX);
  series.forEach((ys, i) => {
    const look = LOOKS[i] ?? i, colour = `color-${look % 7} dash-${look % 7}`;
    const group = drawing("g", { class: `series ${colour}` });
    group.append(drawing("path", { class: "line", d: line(xs, ys, x, y) }));
    xs.forEach((at, k) => {
      if (ys[k] === null) return;
      const dot = drawing("path", { class: "dot", d: benchMarker(look, x(at), y(ys[k])) });
      dot.append(drawing("title", {}, `${labels[i]}, ${at}: ${ys[k]}`));
      group.append(dot);
    });
    const legend = drawing("g", { class: "legend" }), sample = drawing("g", { class: colour });
    const left = LEFT + (i % 2) * ((WIDTH - LEFT) / 2), top = HEIGHT - BOTTOM + 58 + 20 * Math.floor(i / 2);
    sample.append(drawing("path", { class: "line", d: `M${left} ${top} h24` }), drawing("path", { class: "dot", d: benchMarker(look, left + 12, top) }));
    legend.append(sample, drawing("text", { x: left + 32, y: top + 4 }, labels[i]));
    svg.append(group, legend);
  });
  return svg;
}

/* A figure, and its numbers behind it. */
function show(figure, title, box, content) {
  figure.append(drawn(content), element("details", {}, element("summary", {}, `Numbers: ${title}`), box));
  return figure;
}

/* The study's figures that are of no metric: titles and sums are those of scripts/report/study.py and scripts/report/summary.py. */
function studied({ blocks, backends, labels }) {
  const rows = blocks.level.map((_, place) => place).filter((place) => !blocks.arm[place]);
  const xs = [...new Set(rows.map((place) => blocks.level[place]))].sort((one, two) => one - two);
  const sum = (cell, of) => cell.reduce((total, place) => total + of(place), 0);
  const total = (name) => (cell) => sum(cell, (place) => blocks[name][place]);
  const cpu = (place) => ((blocks.cpu_ms_per_request[place] ?? NaN) * blocks.requests[place]) / 1000;
  const figures = {
    "Error rate (% of requests)": (cell) => (100 * total("failed")(cell)) / total("requests")(cell),
    "CPU usage of the backend (% of one CPU)": (cell) => (100 * sum(cell, cpu)) / total("wall_s")(cell),
    "Duration of one round under load (s)": (cell) => total("load_s")(cell) / cell.length,
    "Total requests of one round (requests)": (cell) => total("requests")(cell) / cell.length,
  };
  const value = (of, backend, level) => {
    const cell = rows.filter((place) => blocks.backend[place] === backend && blocks.level[place] === level && blocks.counts[place]);
    const found = of(cell);
    return cell.length && Number.isFinite(found) ? found : null;
  };
  return Object.entries(figures).map(([title, of]) => ({
    title, xs, labels: backends.map((name) => plain(labels[name])),
    series: backends.map((_, backend) => xs.map((level) => value(of, backend, level))),
  }));
}

function numbers({ title, labels, xs, series }) {
  return table(title, ["users", ...labels], xs.map((x, i) => row(String(x), series.map((ys) => benchText.figure(ys[i])))));
}

const section = (id, title, ...children) => element("section", { id }, element("h2", {}, title), ...children);

/* What one request does, a column for each backend and arm. */
function parity({ parity: seen, labels }) {
  if (!seen.backend.length) return section("parity", "Parity: what one request does", element("p", {}, "Not checked."));
  const control = [...new Set(seen.control_per_request.flatMap(Object.keys))];
  const heads = seen.backend.map((name, i) => plain(labels[name] ?? name) + (seen.arm[i] === "baseline" ? ", baseline" : ""));
  const rows = {
    "data statements": seen.statements_per_request, "rows affected": seen.rows_per_request,
    ...Object.fromEntries(control.map((word) => [plain(word), seen.control_per_request.map((found) => found[word] ?? 0)])),
    "connections opened": seen.connections_per_request, "file operations": seen.file_operations, "bytes of the answer": seen.answer_bytes,
    "equal work": seen.differences.map((found) => (found.length ? "NO" : "yes")),
  };
  return section("parity", "Parity: what one request does",
    table("Seen by the database server and the file system", ["one request", ...heads], Object.entries(rows).map(([head, cells]) => row(head, cells.map(String)))));
}

/* Blocks that do not count, and behind them all blocks. */
function validity({ blocks, backends, labels, reasons, disturbed }) {
  const named = (place) => plain(labels[backends[blocks.backend[place]]]);
  const repeated = (place) => blocks.valid.some((valid, other) => valid && ["backend", "level", "round", "arm"].every((name) => blocks[name][other] === blocks[name][place]));
  const heads = ["block", "backend", "users", "round", "attempt", "reasons", "outcome"];
  const listed = (some, outcome) => Object.entries(some).map(([place, texts]) => row(String(blocks.index[place]), [
    named(place), ...["level", "round", "attempt"].map((name) => String(blocks[name][place])), texts.map(plain).join("; "), outcome(place)]));
  const invalid = listed(reasons, (place) => repeated(place) ? "repeated with success" : "missing from the results");
  const noisy = listed(disturbed, (place) => blocks.counts[place] ? "counts" : "quieter ones count");
  const metrics = Array.from(document.querySelectorAll("table[data-metric]"), (shown) => [shown.dataset.metric, shown.caption.textContent]);
  const all = blocks.index.map((index, place) => row(String(index), [
    String(blocks.round[place]), named(place), blocks.arm[place] ? "baseline" : "candidate",
    ...["level", "attempt", "requests"].map((name) => String(blocks[name][place])),
    ...metrics.map(([name]) => benchText.figure(blocks[name][place])), !blocks.valid[place] ? "INVALID" : place in disturbed ? "○ disturbed" : "valid"]));
  return section("validity", "Validity", ...(invalid.length
    ? [element("p", {}, "These blocks count in no number and no figure of this page."), table("Invalid blocks", heads, invalid, null)]
    : [element("p", {}, "No block is invalid.")]),
  ...(noisy.length
    ? [element("p", {}, "During these others took CPU (○): their numbers are right, but noisier. They count where nothing quieter was measured."), table("Disturbed blocks", heads, noisy, null)]
    : []),
  element("details", {}, element("summary", {}, `All ${count(blocks.index.length, "block")}, in the order measured`),
    table("All blocks", ["block", "round", "backend", "arm", "users", "attempt", "requests", ...metrics.map(([, title]) => title), "state"], all)));
}

function environment({ environment: fields, limits, limited, workload, seed, load_s, wall_s, packages, backends, labels }) {
  const work = Object.entries(workload ?? {}).map(([name, value]) => `${name} ${value}`).join(", ");
  const limit = `${limits.cpus} CPU, ${limits.memory_mb} MiB for each backend${limited ? "" : " (NOT IN FORCE)"}`;
  const facts = { ...fields, randomised: fields.randomised ? "yes" : "no", limits: limit, workload: work, seed, "under load": `${Math.round(load_s)} of ${Math.round(wall_s)} s` };
  const known = [...new Set(backends.flatMap((name) => Object.keys(packages[name] ?? {})))].sort();
  return section("environment", "Where it ran",
    table("Environment", ["what", "value"], Object.entries(facts).map(([name, value]) => row(plain(name.replaceAll("_", " ")), [plain(value) || NOTHING])), null),
    table("Package versions", ["package", ...backends.map((name) => plain(labels[name]))], known.map((name) => row(plain(name), backends.map((backend) => plain(packages[backend]?.[name] ?? NOTHING)))), null));
}

async function showRest(place) {
  try {
    const run = await benchLoad(`runs/${place.dataset.run}`);
    const figures = document.querySelector("#figures .figures");
    figures.append(...studied(run).map((one) => show(element("div", { class: "figure" }), one.title, numbers(one), one)));
    place.replaceChildren(parity(run), validity(run), environment(run));
  } catch (error) {
    place.replaceChildren(element("p", { role: "alert" }, `Parity, validity and environment cannot be shown: ${error.message}.`));
  }
}

for (const given of document.querySelectorAll("table[data-metric]")) {
  const content = read(given);
  show(given.closest(".figure"), content.title, given.closest(".scroll"), content);
}
showRest(document.getElementById("rest"));
