/* The brief page of a run: a curve for each backend above each table, drawn from the table's own numbers.
   Shapes, dashes and class names are those of scripts/charts.py, so that charts.css styles these, too. */
"use strict";

const WIDTH = 640, HEIGHT = 372, LEFT = 64, RIGHT = 16, TOP = 44, BOTTOM = 96;
const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

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

function draw({ title, labels, xs, series }) {
  const marks = ticks(Math.max(0, ...series.flat().filter((value) => value !== null)));
  const x = (value) => LEFT + (value / Math.max(...xs, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / marks.at(-1)) * (HEIGHT - TOP - BOTTOM);
  const svg = node("svg", { class: "pygal-chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, against concurrent users` });
  svg.append(node("text", { class: "title plot_title", x: WIDTH / 2, y: 24 }, title));
  const axisY = node("g", { class: "axis y" }), axisX = node("g", { class: "axis x" });
  for (const mark of marks) {
    axisY.append(node("path", { class: "guide", d: `M${LEFT} ${y(mark)} H${WIDTH - RIGHT}` }));
    axisY.append(node("text", { x: LEFT - 8, y: y(mark) + 4 }, mark.toLocaleString("en")));
  }
  const stride = Math.ceil(xs.length / 12) || 1;
  xs.filter((_, i) => (i + 1) % stride === 0).forEach((at) => axisX.append(node("text", { x: x(at), y: HEIGHT - BOTTOM + 20 }, at)));
  axisX.append(node("path", { class: "line", d: `M${LEFT} ${y(0)} H${WIDTH - RIGHT}` }));
  axisX.append(node("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - BOTTOM + 40 }, "concurrent users"));
  svg.append(axisY, axisX);
  series.forEach((ys, i) => {
    const group = node("g", { class: `series color-${i % 7}` });
    group.append(node("path", { class: "line", d: line(xs, ys, x, y) }));
    xs.forEach((at, k) => {
      if (ys[k] === null) return;
      const dot = node("path", { class: "dot", d: benchMarker(i, x(at), y(ys[k])) });
      dot.append(node("title", {}, `${labels[i]}, ${at}: ${ys[k]}`));
      group.append(dot);
    });
    const legend = node("g", { class: "legend" }), sample = node("g", { class: `color-${i % 7}` });
    const left = LEFT + (i % 2) * ((WIDTH - LEFT) / 2), top = HEIGHT - BOTTOM + 58 + 20 * Math.floor(i / 2);
    sample.append(node("path", { class: "line", d: `M${left} ${top} h24` }), node("path", { class: "dot", d: benchMarker(i, left + 12, top) }));
    legend.append(sample, node("text", { x: left + 32, y: top + 4 }, labels[i]));
    svg.append(group, legend);
  });
  return svg;
}

for (const table of document.querySelectorAll("table[data-metric]")) {
  const numbers = document.createElement("details"), summary = document.createElement("summary");
  summary.textContent = `Numbers: ${table.caption.textContent}`;
  const figure = table.closest(".figure"), box = table.closest(".scroll");
  numbers.append(summary, box);
  figure.append(draw(read(table)), numbers);
}
