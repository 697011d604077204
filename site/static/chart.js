/* Lines over time, for long histories. The only user of uPlot (site/vendor/). It draws what it is given and reports what
   the reader does; what that means is trend.js's business. Colours and dashes come from charts.css by way of the legend's
   own swatches, so that figures with and without script look alike. */
"use strict";

const benchChart = (() => {
  const NEAR = 24; // pixels within which a point is meant
  const CROWD = 12; // pixels that a mark takes: where there are more, those that are no change are thinned out
  const WHOLE = [1, 2, 5].flatMap((digit) => Array.from({ length: 7 }, (_, power) => digit * 10 ** power)).sort((a, b) => a - b); // steps of an order
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

  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  /** Times of an axis, in UTC, as coarse as their distance. */
  function times(splits, distance) {
    return splits.map((seconds, place) => {
      const date = new Date(seconds * 1000), clock = date.toISOString().slice(11, 16);
      const on = `${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
      if (distance >= 28 * 86400) return `${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
      if (distance >= 86400) return on;
      return place === 0 || clock === "00:00" ? `${on}\n${clock}` : clock;
    });
  }

  /** Days and times of places in an order, in UTC. */
  const stamps = (times) => times.map((seconds) => {
    const date = new Date(seconds * 1000);
    return `${date.getUTCDate()} ${months[date.getUTCMonth()]}\n${date.toISOString().slice(11, 16)}`;
  });

  /** Numbers of an axis, with as many digits as their distance needs. */
  function numbers(splits, distance, unit) {
    const digits = Math.max(0, -Math.floor(Math.log10(distance) + 1e-9));
    const text = (value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return splits.map((value) => text(value) + unit);
  }

  /** The range of values between two times, with their intervals, and some air. */
  function span(points, shown, from, to) {
    let low = Infinity, high = -Infinity;
    for (const p of points) {
      if (p.x < from || p.x > to || !shown(p.group)) continue;
      low = Math.min(low, p.low ?? p.y, p.y);
      high = Math.max(high, p.high ?? p.y, p.y);
    }
    if (low > high) return [0, 1];
    const least = 0.05 * Math.max(Math.abs(low), Math.abs(high)) || 1; // noise shall not look like a mountain
    const air = Math.max((high - low) * 0.08, (least - (high - low)) / 2);
    return [low - air, high + air];
  }

  /** Draw into ``box`` (emptied before), and return {step, current, destroy}.
   *
   * groups: [{swatch (SVG element with the group's colours), index}], by which the look is chosen; axis: what x is, {ordered:
   * whether places in an order and not seconds, time(x): seconds}; points, ascending in x: [{x, y, low, high, group (index), run}]; marks: [{kind, number, x, from}]; from, to: the range of x; unit
   * follows numbers of the axis; one: whether equality (1) is drawn; shown(group): whether a group is; reports:
   * zoom(from, to), point(p | null), open(p). */
  function draw(box, { groups, points, axis: along, marks = [], from, to, unit = "", one = false, shown, height, small = false, report = {} }) {
    box.replaceChildren();
    const style = getComputedStyle(document.documentElement);
    const soft = style.getPropertyValue("--soft"), rule = style.getPropertyValue("--rule"), ink = style.getPropertyValue("--ink");
    const font = "12px system-ui, sans-serif";
    const looks = groups.map(({ swatch, index }) => {
      const { stroke, strokeDasharray } = getComputedStyle(swatch);
      return { stroke, index, dash: strokeDasharray === "none" ? [] : strokeDasharray.split(/[ ,]+/).map(parseFloat) };
    });
    const counts = groups.map((_, g) => points.filter((p) => p.group === g && p.x >= from && p.x <= to).length);
    let selected = null, pointer = "mouse";

    const x = (u, value) => u.valToPos(value, "x", true), y = (u, value) => u.valToPos(value, "y", true);
    const visible = (p) => p.x >= from && p.x <= to && shown(p.group);

    function drawMarks(u) {
      const { ctx, bbox } = u, ratio = devicePixelRatio;
      ctx.save();
      ctx.lineWidth = ratio;
      if (one && u.scales.y.min < 1 && u.scales.y.max > 1) {
        ctx.strokeStyle = soft;
        ctx.beginPath(); ctx.moveTo(bbox.left, y(u, 1)); ctx.lineTo(bbox.left + bbox.width, y(u, 1)); ctx.stroke();
      }
      const visible = marks.filter((mark) => mark.x >= from && mark.x <= to);
      const crowded = visible.length * CROWD > bbox.width / ratio; // then only changes have lines, and signs keep a distance
      let last = -Infinity, signed = -Infinity;
      for (const mark of visible) {
        const at = x(u, mark.x), top = bbox.top - 9 * ratio, change = mark.kind === "worse" || mark.kind === "better";
        if (crowded && !change && (small || at - signed < CROWD * ratio)) continue;
        if (mark.from !== null && mark.from < mark.x) { // it happened somewhere in here
          const start = Math.max(x(u, mark.from), bbox.left);
          ctx.globalAlpha = 0.08; ctx.fillStyle = ink;
          ctx.fillRect(start, bbox.top, at - start, bbox.height);
          ctx.globalAlpha = 1;
        }
        ctx.strokeStyle = soft; ctx.fillStyle = soft;
        if (!crowded || change) {
          ctx.setLineDash([3 * ratio, 3 * ratio]);
          ctx.beginPath(); ctx.moveTo(at, bbox.top); ctx.lineTo(at, bbox.top + bbox.height); ctx.stroke();
          ctx.setLineDash([]);
        }
        if (small) continue;
        signed = at;
        ctx.fill(new Path2D(sign(mark.kind, at, top, 4.5 * ratio)));
        if (at - last > 22 * ratio) {
          ctx.font = `${11 * ratio}px system-ui, sans-serif`; ctx.textAlign = "center";
          ctx.fillText(mark.number, at, top - 9 * ratio);
          last = at;
        }
      }
      ctx.restore();
    }

    function drawPoints(u) {
      const { ctx, bbox } = u, ratio = devicePixelRatio;
      ctx.save();
      ctx.beginPath(); ctx.rect(bbox.left, bbox.top - 6, bbox.width, bbox.height + 12); ctx.clip();
      for (const p of points) {
        if (!visible(p)) continue;
        const { stroke, index } = looks[p.group];
        ctx.strokeStyle = stroke; ctx.fillStyle = stroke;
        if (p.low !== null && p.high !== null) {
          ctx.globalAlpha = 0.45; ctx.lineWidth = 1.5 * ratio;
          ctx.beginPath(); ctx.moveTo(x(u, p.x), y(u, p.low)); ctx.lineTo(x(u, p.x), y(u, p.high)); ctx.stroke();
          ctx.globalAlpha = 1;
        }
        if (counts[p.group] * ROOM > bbox.width / ratio && p !== selected) continue;
        const path = new Path2D(benchMarker(index, x(u, p.x), y(u, p.y), (small ? 3 : 4) * ratio));
        ctx.lineWidth = 1.5 * ratio;
        ctx.stroke(path);
        if (index % 5 !== 4 && !p.hollow) ctx.fill(path);
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
    const plot = new uPlot({
      width: Math.max(box.clientWidth, 200),
      height,
      padding: [small ? 8 : 36, small ? 8 : 16, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { x: { time: !along.ordered, range: () => [from, to] }, y: { range: () => span(points, shown, from, to) } },
      axes: [
        { ...axis, grid: { show: false }, space: small ? 70 : 80, values: (u, splits, i, space, distance) => (along.ordered ? stamps(splits.map(along.time)) : times(splits, distance)), size: 44, ...(along.ordered ? { incrs: WHOLE } : {}) },
        { ...axis, space: 36, values: (u, splits, i, space, distance) => numbers(splits, distance, unit), size: (u, texts) => 14 + 7.2 * Math.max(2, ...(texts ?? []).map((t) => t.length)) },
      ],
      series: [{}, ...looks.map(({ stroke, dash }, g) => ({ stroke, dash, width: counts[g] > 1000 ? 1 : 2, spanGaps: true, points: { show: false }, show: shown(g) }))],
      cursor: {
        show: !small, points: { show: false }, y: false,
        drag: { x: !small, y: false, setScale: false, dist: 5 },
        bind: { dblclick: () => null },
      },
      hooks: {
        drawAxes: [drawMarks],
        draw: [drawPoints],
        setCursor: [(u) => { if (!small && u.cursor.event) { const near = nearest(u); if (near || pointer === "mouse") choose(u, near ?? selected); } }],
        setSelect: [(u) => {
          if (u.select.width < 5) return;
          const range = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          report.zoom?.(...range);
        }],
      },
    }, [points.map((p) => p.x), ...groups.map((_, g) => points.map((p) => (p.group === g ? p.y : null)))], box);

    if (!small) {
      let pressed = 0;
      plot.over.addEventListener("pointerdown", (event) => { pointer = event.pointerType; pressed = event.clientX; });
      plot.over.addEventListener("click", (event) => {
        const near = nearest(plot);
        if (!near || Math.abs(event.clientX - pressed) > 5) return;
        if (pointer === "touch" && near !== selected) choose(plot, near); // the first touch reads, the second opens
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
