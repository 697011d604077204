/* The marker of a series around a point, as scripts/report/charts.py draws it: circle, square, triangle, diamond, cross, and
   again. */
"use strict";

function benchMarker(index, x, y, r = 5) {
  const w = 1.25 * r;
  return [
    `M${x - r} ${y} a${r} ${r} 0 1 0 ${2 * r} 0 a${r} ${r} 0 1 0 ${-2 * r} 0 z`,
    `M${x - 0.85 * r} ${y - 0.85 * r} h${1.7 * r} v${1.7 * r} h${-1.7 * r} z`,
    `M${x} ${y - 1.2 * r} l${1.15 * r} ${2 * r} h${-2.3 * r} z`,
    `M${x} ${y - w} l${w} ${w} l${-w} ${w} l${-w} ${-w} z`,
    `M${x - r} ${y - r} l${2 * r} ${2 * r} m0 ${-2 * r} l${-2 * r} ${2 * r}`,
  ][index % 5];
}
