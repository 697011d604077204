/* Lines over time, for long histories. The only user of uPlot (site/vendor/). It draws what it is given and reports what
   the reader does; what that means is trend.js's business. Colours and dashes come from charts.css by way of the legend's
   own swatches, so that figures with and without script look alike. */
"use strict";

const benchChart = (() => {
  const NEAR = 24; // pixels within which a point is meant
  const CROWD = 12; // pixels that a mark takes: where there are more, those that are no change are thinned out
  const LANES = 3, LANE = 15; // rows of signs above a figure, and their pixels
  const ROOM = 9; // pixels that a marker takes: closer points are drawn as a line only

  /** The shape that tells what a mark is of. */
  function sign(kind, x, y, r = 5) {
    const w = 1.2 * r;
    return {
      worse: `M${x - w} ${y - r} h${2 * w} l${-w} ${2 * r} z`,
      better: `M${x - w} ${y + r} h${2 * w} l${-w} ${-2 * r} z`,
      event: benchMarker(3, x, y, r),
      dependency: benchMarker(1, x, y, r),
      environment: benchMarker(0, x, y, r),
    }[kind];
  }

  /** The range of y between two x, with its intervals. */
  function span(points, shown, from, to, scale) {
    let low = Infinity, high = -Infinity;
    for (const p of points) {
      if (p.x < from || p.x > to || p.y === null || !shown(p.group)) continue;
      low = Math.min(low, p.low ?? p.y, p.y);
      high = Math.max(high, p.high ?? p.y, p.y);
    }
    return low > high ? [0, 1] : scale.range(low, high);
  }

  /** The row of each sign, so that none lies on another; changes choose first. What finds no room has none: null.
   *
   * signs: [{at, wide (pixels), change}]. */
  function lanes(signs) {
    const rows = Array.from({ length: LANES }, () => []), found = signs.map(() => null);
    const order = signs.map((_, place) => place).sort((a, b) => signs[b].change - signs[a].change || a - b);
    for (const place of order) {
      const { at, wide } = signs[place];
      const row = rows.findIndex((taken) => taken.every((other) => Math.abs(other.at - at) >= (other.wide + wide) / 2));
      if (row < 0) continue;
      rows[row].push(signs[place]);
      found[place] = row;
    }
    return found;
  }

  /** Draw into ``box`` (emptied before), and return {step, current, destroy}.
   *
   * groups: [{swatch (SVG element with the group's colours), shape (of its markers), path: [[x, y or null for a gap]]}];
   * axis: what x is (axis.js); scale: what y is (scale.js); points, ascending in x: [{x, y, low, high, group (index), run}];
   * marks: [{kind, number, x, from}]; from, to: the range of x; unit follows numbers of the axis; base: the y of equality, or
   * null; shown(group): whether a group is; reports: zoom(from, to), point(p | null), open(p). */
  function draw(box, { groups, points, axis: along, scale, marks = [], from, to, unit = "", base = null, shown, height, small = false, report = {} }) {
    box.replaceChildren();
    const style = getComputedStyle(document.documentElement);
    const [soft, rule, ink, paper] = ["--soft", "--rule", "--ink", "--paper"].map((name) => style.getPropertyValue(name));
    const font = "12px system-ui, sans-serif";
    const looks = groups.map(({ swatch, shape }) => {
      const { stroke, strokeDasharray } = getComputedStyle(swatch);
      return { stroke, shape, dash: strokeDasharray === "none" ? [] : strokeDasharray.split(/[ ,]+/).map(parseFloat) };
    });
    const counts = groups.map((_, g) => points.filter((p) => p.group === g && p.x >= from && p.x <= to).length);
    let selected = null, pointer = "mouse";

    const x = (u, value) => u.valToPos(value, "x", true), y = (u, value) => u.valToPos(value, "y", true);
    const visible = (p) => p.x >= from && p.x <= to && p.y !== null && shown(p.group);

    /** Paper below everything: what is printed or saved can be read on any. */
    function drawPaper({ ctx }) {
      ctx.save();
      ctx.fillStyle = paper;
      ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height);
      ctx.restore();
    }

    function drawMarks(u) {
      const { ctx, bbox } = u, ratio = devicePixelRatio;
      ctx.save();
      ctx.setLineDash([]);
      ctx.lineWidth = ratio;
      if (base !== null && u.scales.y.min < base && u.scales.y.max > base) {
        ctx.strokeStyle = soft;
        ctx.beginPath(); ctx.moveTo(bbox.left, y(u, base)); ctx.lineTo(bbox.left + bbox.width, y(u, base)); ctx.stroke();
      }
      const isChange = (mark) => mark.kind === "worse" || mark.kind === "better";
      const within = marks.filter((mark) => mark.x >= from && mark.x <= to);
      const crowded = within.length * CROWD > bbox.width / ratio; // then only changes have lines
      const rows = lanes(within.map((mark) => ({ at: x(u, mark.x) / ratio, wide: 2 * CROWD + 7 * String(mark.number).length, change: isChange(mark) })));
      within.forEach((mark, place) => {
        const at = x(u, mark.x), change = isChange(mark);
        if (mark.from !== null && mark.from < mark.x) { // it happened somewhere in here
          const start = Math.max(x(u, mark.from), bbox.left);
          ctx.globalAlpha = 0.08; ctx.fillStyle = ink;
          ctx.fillRect(start, bbox.top, at - start, bbox.height);
          ctx.globalAlpha = 1;
        }
        ctx.strokeStyle = soft; ctx.fillStyle = soft;
        if (change || (!crowded && (small || rows[place] !== null))) {
          ctx.setLineDash([3 * ratio, 3 * ratio]);
          ctx.beginPath(); ctx.moveTo(at, bbox.top); ctx.lineTo(at, bbox.top + bbox.height); ctx.stroke();
          ctx.setLineDash([]);
        }
        if (small || (rows[place] === null && !change)) return;
        const top = bbox.top - (9 + LANE * (rows[place] ?? 0)) * ratio;
        ctx.fill(new Path2D(sign(mark.kind, at, top, 4.5 * ratio)));
        ctx.font = `${11 * ratio}px system-ui, sans-serif`; ctx.textAlign = "left"; ctx.textBaseline = "middle";
        if (rows[place] !== null) ctx.fillText(mark.number, at + 8 * ratio, top);
      });
      ctx.restore();
    }

    function drawLine(u, { path }, { stroke, dash }, thin) {
      const { ctx } = u, ratio = devicePixelRatio;
      let pen = "M", d = "";
      for (const [at, value] of path) {
        if (value === null) { pen = "M"; continue; }
        d += `${pen}${x(u, at).toFixed(1)} ${y(u, value).toFixed(1)}`;
        pen = "L";
      }
      ctx.strokeStyle = stroke; ctx.lineWidth = (thin ? 1 : 2) * ratio; ctx.lineJoin = "round";
      ctx.setLineDash(dash.map((length) => length * ratio));
      ctx.stroke(new Path2D(d));
      ctx.setLineDash([]); // what is drawn next is no line
    }

    function drawPoints(u) {
      const { ctx, bbox } = u, ratio = devicePixelRatio;
      ctx.save();
      ctx.beginPath(); ctx.rect(bbox.left, bbox.top - 6, bbox.width, bbox.height + 12); ctx.clip();
      groups.forEach((group, g) => { if (shown(g)) drawLine(u, group, looks[g], counts[g] > 1000); });
      for (const p of points) {
        if (!visible(p)) continue;
        const { stroke, shape } = looks[p.group];
        ctx.strokeStyle = stroke; ctx.fillStyle = stroke;
        if (p.low !== null && p.high !== null) {
          ctx.lineWidth = ratio;
          ctx.beginPath(); ctx.moveTo(x(u, p.x), y(u, p.low)); ctx.lineTo(x(u, p.x), y(u, p.high)); ctx.stroke();
        }
        if (counts[p.group] * ROOM > bbox.width / ratio && p !== selected) continue;
        const path = new Path2D(benchMarker(shape, x(u, p.x), y(u, p.y), (small ? 3 : 4) * ratio));
        ctx.lineWidth = 1.5 * ratio;
        ctx.stroke(path);
        if (shape % 5 !== 4 && !p.hollow) ctx.fill(path);
      }
      if (selected && visible(selected)) {
        ctx.strokeStyle = ink; ctx.lineWidth = 2 * ratio;
        ctx.beginPath(); ctx.arc(x(u, selected.x), y(u, selected.y), 8 * ratio, 0, 2 * Math.PI); ctx.stroke();
      }
      ctx.restore();
    }

    function nearest(u) {
      const { left, top } = u.cursor;
      if (left === undefined || left < 0) return null;
      let best = null, least = NEAR;
      for (const p of points) {
        const dx = u.valToPos(p.x, "x") - left;
        if (dx < -NEAR) continue;
        if (dx > NEAR) break;
        if (!visible(p)) continue;
        const distance = Math.hypot(dx, u.valToPos(p.y, "y") - top);
        if (distance < least) { best = p; least = distance; }
      }
      return best;
    }

    function choose(u, point) {
      if (point === selected) return;
      selected = point;
      u.redraw(false);
      report.point?.(point);
    }

    const axis = { stroke: soft, font, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1, size: 4 } };
    let texts = []; // of the marks of y
    const plot = new uPlot({
      width: Math.max(box.clientWidth, 200),
      height,
      padding: [small ? 8 : LANES * LANE + 4, small ? 8 : 16, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { x: { time: !along.ordered, range: () => [from, to] }, y: { range: () => span(points, shown, from, to, scale) } },
      axes: [
        { ...axis, grid: { show: false }, space: small ? 70 : 80, values: (u, splits, i, space, distance) => along.texts(splits, distance), size: 44, ...(along.ordered ? { incrs: benchAxis.WHOLE } : {}) },
        {
          ...axis,
          splits: (u, i, low, high) => { const marks = scale.marks(low, high, small ? 3 : 6); texts = marks.map(([, text]) => text + unit); return marks.map(([at]) => at); },
          values: () => texts,
          size: (u, shown) => 14 + 7.2 * Math.max(2, ...(shown ?? []).map((t) => t.length)),
        },
      ],
      series: [{}, { paths: () => null, points: { show: false } }], // lines with their gaps are drawn here
      cursor: {
        show: !small, points: { show: false }, y: false,
        drag: { x: !small, y: false, setScale: false, dist: 5 },
        bind: { dblclick: () => null },
      },
      hooks: {
        drawClear: [drawPaper],
        drawAxes: [drawMarks],
        draw: [drawPoints],
        setCursor: [(u) => { if (!small && u.cursor.event) { const near = nearest(u); if (near || pointer === "mouse") choose(u, near ?? selected); } }],
        setSelect: [(u) => {
          if (u.select.width < 5) return;
          const range = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          report.zoom?.(...range);
        }],
      },
    }, [points.map((p) => p.x), points.map((p) => p.y)], box);

    if (!small) {
      let pressed = 0, before = null; // a touch moves the pointer, too: what counts is what was read before it
      plot.over.addEventListener("pointerdown", (event) => { pointer = event.pointerType; pressed = event.clientX; before = selected; });
      plot.over.addEventListener("click", (event) => {
        const near = nearest(plot);
        if (!near || Math.abs(event.clientX - pressed) > 5) return;
        if (pointer !== "mouse" && near !== before) choose(plot, near); // the first touch reads, the second opens
        else report.open?.(near);
      });
    }

    /** Go so many points along x (Infinity: to the end). */
    function step(by) {
      const seen = points.filter(visible);
      if (!seen.length) return;
      const here = selected ? seen.indexOf(selected) : by > 0 ? -1 : seen.length;
      choose(plot, seen[Math.min(Math.max(here + by, 0), seen.length - 1)]);
    }

    return { step, current: () => selected, destroy: () => plot.destroy() };
  }

  return { draw, sign };
})();
