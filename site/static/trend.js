/* The trend page: what the reader chose (kept in the address), the series that it takes, the figure and what it says. */
"use strict";

(() => {
  const { count, day, drawing, element, figure, moment, plain } = benchText;
  const NEWEST = 200; // rows of the table: more is what data/ is for
  const KEYS = ["metric", "level", "scale", "along", "from", "to"];
  const explorer = document.getElementById("explorer");
  const [form, box, legend, multiples] = ["controls", "chart", "legend", "multiples"].map((id) => document.getElementById(id));
  const [state, readout, numbers] = ["state", "readout", "numbers"].map((id) => document.getElementById(id));
  const backend = explorer.dataset.backend;
  const hidden = new Set(); // lines that the reader switched off, by their names
  const seriesPath = ({ metric, level, scale }, at = level) => `series/${backend}/${metric}/${scale === "ratio" ? "ratio-" : ""}${at}`;
  const marks = [...document.querySelectorAll("ol.marks > li[data-run]")].map((item) => ({
    kind: item.dataset.kind, number: item.id.replace("mark-", ""),
    run: Number(item.dataset.run), before: item.dataset.before === undefined ? null : Number(item.dataset.before),
  }));
  let chart = null, drawn = 0, view = null, seen = false, pointed = null;

  // --- what is chosen

  /** The choices in the address; what is missing or unknown is the first that there is. */
  function choices() {
    const given = new URLSearchParams(location.hash.slice(1)), found = {};
    for (const name of KEYS) {
      const control = form.elements[name], value = given.get(name) ?? "";
      if (!control) found[name] = name === "scale" ? "absolute" : "";
      else if (control.tagName === "SELECT") found[name] = [...control.options].some((o) => o.value === value) ? value : control.options[0].value;
      else found[name] = Number.isNaN(Date.parse(value)) ? "" : value;
    }
    return found;
  }

  function hashOf(chosen) {
    const first = (name) => form.elements[name]?.options?.[0].value ?? "";
    return new URLSearchParams(Object.entries(chosen).filter(([name, value]) => value && value !== first(name))).toString();
  }

  /** Keep the choices in the address (without a step of the history for each) and show them. */
  function choose(changed) {
    const hash = hashOf({ ...choices(), ...changed });
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    return show();
  }

  const seconds = (text, end) => Date.parse(text.length === 10 ? `${text}T${end ? "23:59:59" : "00:00:00"}Z` : `${text}Z`) / 1000;
  const text = (time) => new Date(time * 1000).toISOString().slice(0, 19);

  // --- what is shown

  /** What x is. Along time of measurement: seconds. Along commits: their order, evenly, a run's in 0.6 around its place.
   *
   * when(run): seconds; at(run): its x; place(s) and time(x) go to and fro; least: the narrowest range. */
  function axisOf(runs, along) {
    if (along !== "committed") {
      return { when: (run) => runs.started[run], at: (run) => runs.started[run], place: (time) => time, time: (x) => x, least: 60, ordered: false, range: null };
    }
    const known = []; // when the commit at each place was made
    runs.order.forEach((place, run) => { known[place] = runs.committed[run]; });
    const last = known.length - 1;
    const place = (time) => {
      let low = 0, high = known.length; // the first that is later
      while (low < high) { const middle = (low + high) >> 1; if (known[middle] <= time) low = middle + 1; else high = middle; }
      if (low === 0) return -0.5;
      return low > last ? last + (time > known[last] ? 0.5 : 0) : low - 1 + (time - known[low - 1]) / (known[low] - known[low - 1]);
    };
    const time = (x) => {
      if (x < 0 || x > last) return x < 0 ? known[0] - 1 : known[last] + 1;
      const before = Math.floor(x);
      return known[before] + (x - before) * ((known[before + 1] ?? known[before]) - known[before]);
    };
    return { when: (run) => runs.committed[run], at: (run) => runs.order[run], place, time, least: 1, ordered: true, range: [-0.5, last + 0.5] };
  }

  /** Points of a series, each in the group of what it can be compared with; ascending in x. */
  function arrange(runs, series, { level, scale }, axis) {
    const groups = new Map(), total = new Map(), seen = new Map();
    if (axis.ordered) for (const run of series.run) total.set(axis.at(run), (total.get(axis.at(run)) ?? 0) + 1);
    const beside = (run) => { // runs of one commit, in the order of their measurement
      const place = axis.at(run), all = total.get(place), number = seen.get(place) ?? 0;
      seen.set(place, number + 1);
      return all > 1 ? place + 0.6 * (number / (all - 1) - 0.5) : place;
    };
    const at = axis.ordered ? beside : axis.at;
    const points = series.run.map((run, row) => {
      const paired = runs.baseline[run] >= 0;
      const scope = level === "all" ? runs.scope[run] : -1;
      const frame = scale === "ratio" ? runs.baseline[run] : runs.environment[run];
      const key = [scale, frame, scope, paired].join();
      if (!groups.has(key)) groups.set(key, { key, index: groups.size, frame, scope, paired, size: 0 });
      const group = groups.get(key);
      group.size += 1;
      return { x: at(run), y: series.value[row], low: series.low?.[row] ?? null, high: series.high?.[row] ?? null, group: group.index, run, hollow: runs.disturbed[run] > 0 };
    });
    points.sort((a, b) => a.x - b.x || a.run - b.run);
    return { groups: [...groups.values()], points };
  }

  /** What a line is of, in words. */
  function nameOf(runs, { frame, scope, paired }, scale) {
    const levels = scope < 0 ? null : runs.scopes[scope];
    const users = levels === null ? [] : [levels.length > 1 ? `${levels.length} levels to ${levels.at(-1)} users` : count(levels[0], "user")];
    if (scale === "ratio") return [...users, `against ${runs.baselines[frame].slice(0, 7)}`].join(", ");
    return [...users, `environment ${frame + 1}${paired ? ", paired" : ""}: ${plain(runs.environments[frame].text)}`].join(", ");
  }

  function swatch(index) {
    const group = drawing("g", { class: `color-${index % 7}` }, drawing("path", { class: "line", d: "M0 9 h36" }),
      drawing("path", { class: "dot", d: benchMarker(index, 18, 9, 4) }));
    return [group, drawing("svg", { class: "pygal-chart swatch", viewBox: "0 0 36 18", "aria-hidden": "true" }, drawing("g", { class: "legend" }, group))];
  }

  function drawLegend(runs, groups, chosen) {
    legend.replaceChildren(...groups.map((group) => {
      const [look, picture] = swatch(group.index);
      group.swatch = look;
      const tick = element("input", { type: "checkbox" });
      tick.checked = !hidden.has(group.key);
      tick.addEventListener("change", () => { if (tick.checked) hidden.delete(group.key); else hidden.add(group.key); show(); });
      return element("li", {}, element("label", {}, tick, picture, `${nameOf(runs, group, chosen.scale)} (${count(group.size, "run")})`));
    }));
  }

  /** From when to when: what is chosen, else everything, with a little room. */
  function rangeOf(points, { from, to }, axis) {
    const first = points[0]?.x ?? 0, last = points.at(-1)?.x ?? 1, room = Math.max((last - first) * 0.02, 1800);
    const whole = axis.range ?? [first - room, last + room];
    const range = [from ? axis.place(seconds(from, false)) : whole[0], to ? axis.place(seconds(to, true)) : whole[1]];
    return range[0] < range[1] ? range : [range[1], range[0] + 1];
  }

  const marksAt = (axis) => marks
    .map((mark) => ({ ...mark, x: axis.at(mark.run), from: mark.before === null ? null : axis.at(mark.before) }))
    .sort((a, b) => a.x - b.x);

  async function show() {
    const turn = ++drawn, chosen = choices();
    for (const name of KEYS) if (form.elements[name]) form.elements[name].value = form.elements[name].type === "date" ? chosen[name].slice(0, 10) : chosen[name];
    for (const link of document.querySelectorAll("#backends a")) link.hash = hashOf(chosen);
    let runs, series;
    try {
      [runs, series] = await Promise.all([benchLoad("runs"), benchLoad(seriesPath(chosen))]);
    } catch (error) {
      state.textContent = `${error.message}: build the site again.`;
      return;
    }
    if (turn !== drawn) return;
    const axis = axisOf(runs, chosen.along), { groups, points } = arrange(runs, series, chosen, axis), [from, to] = rangeOf(points, chosen, axis);
    const option = form.elements.metric.selectedOptions[0];
    const unit = chosen.scale === "ratio" ? "x" : option.dataset.unit;
    drawLegend(runs, groups, chosen);
    const shown = (group) => !hidden.has(groups[group].key);
    const inside = points.filter((p) => p.x >= from && p.x <= to && shown(p.group));
    view = { runs, axis, points, groups, inside, from, to, chosen, unit, shown, name: option.text, better: option.dataset.better };
    chart?.destroy();
    chart = benchChart.draw(box, {
      groups, points, from, to, shown, height: box.clientWidth < 500 ? 300 : 400, unit: unit === "x" ? "x" : "", one: unit === "x",
      marks: marksAt(axis), axis, report: { zoom: limit, point: tell, open },
    });
    const users = chosen.level === "all" ? "over all levels" : `at ${count(Number(chosen.level), "user")}`;
    state.textContent = points.length
      ? `${view.name} ${users}, ${unit === "x" ? "as ratio" : `in ${unit}`} (${view.better}): ${inside.length} of ${count(points.length, "run")}${inside.length ? `, ${day(axis.when(inside[0].run))} to ${day(axis.when(inside.at(-1).run))}` : ""}.`
      : `No run has ${view.name} ${users}${unit === "x" ? " as a ratio" : ""}.`;
    tell(null);
    if (numbers.open) tabulate();
    if (seen) drawMultiples(turn);
  }

  const value = (y) => (view.unit === "x" ? `${figure(y)}x` : `${figure(y)} ${view.unit}`);
  const interval = (p) => (p.low === null || p.high === null ? "" : ` (${figure(p.low)} to ${figure(p.high)})`);
  const page = (path, content) => element("a", { href: `../${path}` }, content);
  const runPage = (detail, run) => `run/${encodeURIComponent(detail.id[run])}.html`;
  const commitLink = (detail, run) => page(`commit/${detail.commit[run]}.html`, element("code", {}, detail.commit[run].slice(0, 7)));

  /** Say what a point is. Names and commits of runs are loaded when somebody asks for the first. */
  async function tell(point) {
    pointed = point;
    if (!point) return readout.replaceChildren("Point at a run to read it.");
    const { runs, groups, chosen } = view, [detail, subjects] = await Promise.all([benchLoad("runs-detail"), benchLoad("runs-subjects")]);
    if (pointed !== point) return undefined;
    return readout.replaceChildren(
      element("strong", {}, value(point.y)), `${interval(point)} · measured ${moment(runs.started[point.run])} · commit `, commitLink(detail, point.run),
      ` of ${day(runs.committed[point.run])}, ${plain(subjects[point.run])} · ${nameOf(runs, { ...groups[point.group], scope: -1 }, chosen.scale)}${point.hollow ? ` · ${count(runs.disturbed[point.run], "block")} disturbed ○` : ""} · `,
      page(runPage(detail, point.run), "open the run"),
    );
  }

  const open = async (point) => location.assign(`../${runPage(await benchLoad("runs-detail"), point.run)}`);

  async function tabulate() {
    const { runs, inside, groups, chosen } = view, detail = await benchLoad("runs-detail");
    const rows = inside.slice(-NEWEST).reverse().map((p) => element("tr", {},
      element("th", { scope: "row" }, page(runPage(detail, p.run), moment(runs.started[p.run]))), element("td", {}, commitLink(detail, p.run)),
      element("td", {}, value(p.y)), element("td", {}, interval(p).trim() || benchText.NOTHING), element("td", { class: "text" }, nameOf(runs, groups[p.group], chosen.scale))));
    const heads = ["measured", "commit", view.name, "95% interval", "line"].map((head) => element("th", { scope: "col" }, head));
    const caption = inside.length > NEWEST ? `The newest ${NEWEST} of ${inside.length} runs in the figure` : `${count(inside.length, "run")} in the figure`;
    numbers.lastElementChild.replaceChildren(element("table", { class: "numeric" }, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
  }

  /** One small figure for each level, on the same range. */
  async function drawMultiples(turn) {
    const { runs, axis, chosen, from, to, unit, name } = view;
    const levels = [...form.elements.level.options].map((o) => o.value).filter((level) => level !== "all");
    const found = await Promise.all(levels.map((level) => benchLoad(seriesPath(chosen, level)).catch(() => null)));
    if (turn !== drawn) return;
    multiples.replaceChildren();
    levels.forEach((level, place) => {
      const { groups, points } = arrange(runs, found[place] ?? { run: [], value: [] }, { ...chosen, level }, axis);
      if (!points.length) return;
      const title = count(Number(level), "user"), small = element("div", { class: "chart", role: "img", "aria-label": `${name} at ${title}: ${count(points.length, "run")}` });
      const looks = groups.map((group) => swatch(group.index));
      looks.forEach(([look], at) => { groups[at].swatch = look; });
      const link = element("a", { href: `#${hashOf({ ...chosen, level })}`, "aria-current": level === chosen.level ? "true" : null }, title);
      multiples.append(element("figure", {}, element("figcaption", {}, link), element("div", { class: "swatches" }, ...looks.map(([, picture]) => picture)), small));
      benchChart.draw(small, {
        groups, points, from, to, shown: () => true, height: 150, small: true, unit: unit === "x" ? "x" : "", one: unit === "x", marks: marksAt(axis), axis,
      });
    });
  }

  // --- what the reader does

  /** Show a range of x; the address keeps its times. */
  function limit(from, to) {
    choose({ from: text(view.axis.time(from)), to: text(view.axis.time(to)) });
  }

  /** Move or widen the range: by shares of its length. */
  function shift(left, right) {
    const length = view.to - view.from, from = view.from + left * length, to = view.to + right * length;
    if (to - from >= view.axis.least) limit(from, to);
  }

  const actions = {
    earlier: () => shift(-0.5, -0.5), later: () => shift(0.5, 0.5), closer: () => shift(0.25, -0.25), farther: () => shift(-0.5, 0.5),
    whole: () => choose({ from: "", to: "" }),
  };
  for (const [name, act] of Object.entries(actions)) form.elements[name].addEventListener("click", () => view && act());
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => choose({ [event.target.name]: event.target.value }));
  addEventListener("hashchange", show);

  const keys = {
    ArrowLeft: () => chart.step(-1), ArrowRight: () => chart.step(1), PageUp: () => chart.step(-10), PageDown: () => chart.step(10),
    Home: () => chart.step(-Infinity), End: () => chart.step(Infinity), Enter: () => chart.current() && open(chart.current()),
    "+": actions.closer, "=": actions.closer, "-": actions.farther, 0: actions.whole,
  };
  box.addEventListener("keydown", (event) => {
    if (!chart || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  numbers.addEventListener("toggle", () => numbers.open && view && tabulate());
  new IntersectionObserver((entries, observer) => { // what nobody looks at is not loaded
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    seen = true;
    if (view) drawMultiples(drawn);
  }).observe(multiples);
  let width = box.clientWidth;
  new ResizeObserver(() => { if (box.clientWidth !== width) { width = box.clientWidth; show(); } }).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

  for (const item of document.querySelectorAll("ol.marks > li")) {
    const number = item.id.replace("mark-", "");
    item.prepend(drawing("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true" }, drawing("path", { d: benchChart.sign(item.dataset.kind, 8, 8) })),
      element("span", { class: "number" }, item.dataset.run === undefined ? "" : number));
  }
  explorer.hidden = false;
  width = box.clientWidth;
  show();
})();
