/* The trend page: what the reader chose (kept in the address), the series that it takes, the figure and what it says. */
"use strict";

(() => {
  const { count, day, drawing, element, figure, moment, plain } = benchText;
  const NEWEST = 200; // rows of the table: more is what data/ is for
  const KEYS = ["metric", "level", "scale", "y", "lines", "along", "from", "to"];
  const explorer = document.getElementById("explorer");
  const [form, box, legend, multiples] = ["controls", "chart", "legend", "multiples"].map((id) => document.getElementById(id));
  const [state, readout, numbers, signs] = ["state", "readout", "numbers", "signs"].map((id) => document.getElementById(id));
  const backend = explorer.dataset.backend;
  const backends = [...document.querySelectorAll("#backends a[data-backend]")].map((link) => ({ name: link.dataset.backend, label: link.textContent }));
  const hidden = new Set(); // lines that the reader switched off, by their names
  const seriesPath = ({ metric, level, scale }, name, at = level) => `series/${name}/${metric}/${scale === "ratio" ? "ratio-" : ""}${at}`;
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

  /** Keep the choices in the address, each a step that leads back, and show them. */
  function choose(changed) {
    const hash = hashOf({ ...choices(), ...changed });
    if (hash !== hashOf(choices())) history.pushState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    return show();
  }

  const seconds = (text, end) => Date.parse(text.length === 10 ? `${text}T${end ? "23:59:59" : "00:00:00"}Z` : `${text}Z`) / 1000;
  const text = (time) => new Date(time * 1000).toISOString().slice(0, 19);

  // --- what is shown

  /** The series of one backend or of all, each with what tells what its lines may join. */
  function load(chosen, level = chosen.level) {
    const names = chosen.lines === "all" ? backends.map(({ name }) => name) : [backend];
    return Promise.all(names.map(async (name) => {
      const empty = { run: [], value: [] }, alone = names.length === 1 && level === chosen.level;
      const series = benchLoad(seriesPath(chosen, name, level)), [found, reach] = await Promise.all([alone ? series : series.catch(() => empty), benchLoad(`series/${name}/reach`)]);
      return { place: backends.findIndex((one) => one.name === name), series: found, reach: benchAxis.reachOf(reach) };
    }));
  }

  /** Points of series, each in the group of what it can be compared with; ascending in x. */
  function arrange(runs, found, { level, scale, lines }, axis) {
    const groups = new Map(), points = [];
    for (const { place: backendPlace, series, reach } of found) {
      const total = new Map(), seen = new Map();
      let own = 0; // groups of this backend
      if (axis.ordered) for (const run of series.run) total.set(axis.at(run), (total.get(axis.at(run)) ?? 0) + 1);
      const beside = (run) => { // runs of one commit, in the order of their measurement
        const place = axis.at(run), all = total.get(place), number = seen.get(place) ?? 0;
        seen.set(place, number + 1);
        return all > 1 ? place + 0.6 * (number / (all - 1) - 0.5) : place;
      };
      const at = axis.ordered ? beside : axis.at;
      series.run.forEach((run, row) => {
        const paired = runs.baseline[run] >= 0;
        const scope = level === "all" ? runs.scope[run] : -1;
        const frame = scale === "ratio" ? runs.baseline[run] : runs.environment[run];
        const key = [backendPlace, scale, frame, scope, paired].join();
        if (!groups.has(key)) {
          const shape = lines === "all" ? backendPlace + backends.length * own : own;
          groups.set(key, { key, index: groups.size, colour: backendPlace, shape, frame, scope, paired, reach, size: 0 });
          own += 1;
        }
        const group = groups.get(key);
        group.size += 1;
        points.push({ x: at(run), value: series.value[row], lowest: series.low?.[row] ?? null, highest: series.high?.[row] ?? null, group: group.index, run, hollow: runs.disturbed[run] > 0 });
      });
    }
    points.sort((a, b) => a.x - b.x || a.run - b.run);
    return { groups: [...groups.values()], points };
  }

  const meanOf = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

  /** Where points and lines are drawn: by a scale of y, of which the first commit (or run) in the range may be the measure. */
  function place(runs, { groups, points }, axis, scale, [from, to]) {
    const slotOf = (p) => (axis.ordered ? runs.order[p.run] : p.x);
    for (const group of groups) {
      const mine = points.filter((p) => p.group === group.index), inside = mine.find((p) => p.x >= from && p.x <= to) ?? mine[0];
      group.first = meanOf(mine.filter((p) => slotOf(p) === slotOf(inside)).map((p) => p.value));
      for (const p of mine) {
        const at = (value) => (value === null ? null : scale.to(value, group.first));
        Object.assign(p, { y: at(p.value), low: at(p.lowest), high: at(p.highest) });
      }
      group.path = pathOf(runs, group, mine, slotOf);
    }
  }

  /** A line from commit to commit, or from run to run, as [x, y]; y is null where a commit lies between that was left out. */
  function pathOf(runs, { reach }, points, slotOf) {
    const places = [...new Set(points.map((p) => runs.order[p.run]))].sort((a, b) => a - b), left = new Map(); // by place: how many were left out before it
    places.forEach((at, i) => left.set(at, i ? left.get(places[i - 1]) + Math.max(0, reach.before[at] - reach.with[places[i - 1]]) : 0));
    const path = [], slots = new Map();
    for (const p of points) slots.set(slotOf(p), [...(slots.get(slotOf(p)) ?? []), p]);
    let last = null;
    for (const [x, here] of slots) {
      const known = here.filter((p) => p.y !== null), at = runs.order[here[0].run];
      if (last !== null && left.get(at) !== left.get(last)) path.push([x, null]);
      path.push([x, known.length ? meanOf(known.map((p) => p.y)) : null]);
      last = at;
    }
    return path;
  }

  /** What a line is of, in words. */
  function nameOf(runs, { colour, frame, scope, paired }, { scale, lines }) {
    const levels = scope < 0 ? null : runs.scopes[scope];
    const who = lines === "all" ? [backends[colour].label] : [];
    const users = levels === null ? [] : [levels.length > 1 ? `${levels.length} levels to ${levels.at(-1)} users` : count(levels[0], "user")];
    if (scale === "ratio") return [...who, ...users, `against ${runs.baselines[frame].slice(0, 7)}`].join(", ");
    return [...who, ...users, `environment ${frame + 1}${paired ? ", paired" : ""}: ${plain(runs.environments[frame].text)}`].join(", ");
  }

  function swatch({ colour, shape }) {
    const group = drawing("g", { class: `color-${colour % 7} dash-${shape % 7}` }, drawing("path", { class: "line", d: "M0 9 h36" }),
      drawing("path", { class: "dot", d: benchMarker(shape, 18, 9, 4) }));
    return [group, drawing("svg", { class: "pygal-chart swatch", viewBox: "0 0 36 18", "aria-hidden": "true" }, drawing("g", { class: "legend" }, group))];
  }

  function drawLegend(runs, groups, chosen) {
    legend.replaceChildren(...groups.map((group) => {
      const [look, picture] = swatch(group);
      group.swatch = look;
      const tick = element("input", { type: "checkbox" });
      tick.checked = !hidden.has(group.key);
      tick.addEventListener("change", () => { if (tick.checked) hidden.delete(group.key); else hidden.add(group.key); show(); });
      return element("li", {}, element("label", {}, tick, picture, `${nameOf(runs, group, chosen)} (${count(group.size, "run")})`));
    }));
  }

  /** From when to when: what is chosen, else everything, with a little room. */
  function rangeOf(points, { from, to }, axis) {
    const first = points[0]?.x ?? 0, last = points.at(-1)?.x ?? 1, room = Math.max((last - first) * 0.02, 1800);
    const whole = axis.range ?? [first - room, last + room];
    const range = [from ? axis.place(seconds(from, false)) : whole[0], to ? axis.place(seconds(to, true)) : whole[1]];
    return range[0] < range[1] ? range : [range[1], range[0] + 1];
  }

  /** What beside lines and points is drawn, in words. */
  function explain({ points, base }, drawnMarks) {
    const picture = (...parts) => drawing("svg", { class: "pygal-chart swatch", viewBox: "0 0 36 18", "aria-hidden": "true" }, ...parts);
    const band = drawnMarks.some((mark) => mark.from !== null && mark.from < mark.x), whisker = points.some((p) => p.low !== null && p.high !== null);
    const items = [
      [whisker, drawing("path", { class: "whisker", d: "M18 1 v16" }), "an upright stroke: the 95% interval of a run, over its rounds"],
      [base !== null, drawing("path", { class: "whisker", d: "M0 9 h36" }), chosenBase()],
      [band, drawing("path", { class: "band", d: "M0 0 h36 v18 h-36 z" }), "a grey band: a change or an upgrade happened somewhere in it, between two measured runs"],
      [drawnMarks.length > 0, drawing("path", { class: "event", d: "M18 0 v18" }), "a dotted upright line: something happened here; its sign and number are those of the list below"],
    ];
    signs.replaceChildren(...items.filter(([there]) => there).map(([, part, words]) => element("li", {}, picture(part), words)));
  }

  const chosenBase = () => (choices().y === "percent" ? "a level line: as the first" : "a level line: equal (1x)");

  const marksAt = (axis) => marks
    .map((mark) => ({ ...mark, x: axis.at(mark.run), from: mark.before === null ? null : axis.at(mark.before) }))
    .sort((a, b) => a.x - b.x);

  async function show() {
    const turn = ++drawn, chosen = choices();
    for (const name of KEYS) if (form.elements[name]) form.elements[name].value = form.elements[name].type === "date" ? chosen[name].slice(0, 10) : chosen[name];
    for (const link of document.querySelectorAll("#backends a")) link.hash = hashOf(link.dataset.backend ? chosen : { ...chosen, lines: "all" });
    let runs, series, commits;
    try {
      [runs, series, commits] = await Promise.all([benchLoad("runs"), load(chosen), chosen.along === "committed" ? benchLoad("runs-commits") : null]);
    } catch (error) {
      state.textContent = `${error.message}: build the site again.`;
      return;
    }
    if (turn !== drawn) return;
    const axis = benchAxis.of(runs, chosen.along, commits), scale = benchScale.kinds[chosen.y];
    const { groups, points } = arrange(runs, series, chosen, axis), [from, to] = rangeOf(points, chosen, axis);
    const option = form.elements.metric.selectedOptions[0];
    const unit = chosen.scale === "ratio" ? "x" : option.dataset.unit;
    const base = chosen.y === "percent" ? 0 : unit === "x" ? scale.to(1) : null;
    place(runs, { groups, points }, axis, scale, [from, to]);
    drawLegend(runs, groups, chosen);
    const shown = (group) => !hidden.has(groups[group].key);
    const inside = points.filter((p) => p.x >= from && p.x <= to && shown(p.group));
    view = { runs, axis, scale, base, points, groups, inside, from, to, chosen, unit, shown, name: option.text, better: option.dataset.better };
    chart?.destroy();
    chart = benchChart.draw(box, {
      groups, points, from, to, shown, height: box.clientHeight, unit: suffix(), base, marks: marksAt(axis), axis, scale, report: { zoom: limit, point: tell, open },
    });
    explain(view, marksAt(axis).filter((mark) => mark.x >= from && mark.x <= to));
    const users = chosen.level === "all" ? "over all levels" : `at ${count(Number(chosen.level), "user")}`;
    state.textContent = points.length
      ? `${view.name} ${users}, ${unit === "x" ? "as ratio" : `in ${unit}`} (${view.better}): ${inside.length} of ${count(points.length, "run")}${inside.length ? `, ${day(axis.when(inside[0].run))} to ${day(axis.when(inside.at(-1).run))}` : ""}.`
      : `No run has ${view.name} ${users}${unit === "x" ? " as a ratio" : ""}.`;
    tell(null);
    if (numbers.open) tabulate();
    if (seen) drawMultiples(turn);
  }

  /** What follows numbers of the axis. */
  const suffix = () => (view.chosen.y === "percent" ? "%" : view.unit === "x" ? "x" : "");
  const value = (p) => `${view.chosen.y === "percent" ? `${p.y > 0 ? "+" : ""}${figure(p.y)}% from the first: ` : ""}${figure(p.value)}${view.unit === "x" ? "x" : ` ${view.unit}`}`;
  const interval = (p) => (p.lowest === null || p.highest === null ? "" : ` (${figure(p.lowest)} to ${figure(p.highest)})`);
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
      element("strong", {}, value(point)), `${interval(point)} · measured ${moment(runs.started[point.run])} · commit `, commitLink(detail, point.run),
      ` of ${day(runs.committed[point.run])}, ${plain(subjects[point.run])} · ${nameOf(runs, { ...groups[point.group], scope: -1 }, chosen)}${point.hollow ? ` · ${count(runs.disturbed[point.run], "block")} disturbed` : ""} · `,
      page(runPage(detail, point.run), "open the run"),
    );
  }

  const open = async (point) => location.assign(`../${runPage(await benchLoad("runs-detail"), point.run)}`);

  async function tabulate() {
    const { runs, inside, groups, chosen } = view, detail = await benchLoad("runs-detail");
    const rows = inside.slice(-NEWEST).reverse().map((p) => element("tr", {},
      element("th", { scope: "row" }, page(runPage(detail, p.run), moment(runs.started[p.run]))), element("td", {}, commitLink(detail, p.run)),
      element("td", {}, value(p)), element("td", {}, interval(p).trim() || benchText.NOTHING), element("td", { class: "text" }, nameOf(runs, groups[p.group], chosen))));
    const heads = ["measured", "commit", view.name, "95% interval", "line"].map((head) => element("th", { scope: "col" }, head));
    const caption = inside.length > NEWEST ? `The newest ${NEWEST} of ${inside.length} runs in the figure` : `${count(inside.length, "run")} in the figure`;
    numbers.lastElementChild.replaceChildren(element("table", { class: "numeric" }, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
  }

  /** One small figure for each level, on the same range. */
  async function drawMultiples(turn) {
    const { runs, axis, scale, base, chosen, from, to, name } = view;
    const levels = [...form.elements.level.options].map((o) => o.value).filter((level) => level !== "all");
    const found = await Promise.all(levels.map((level) => load(chosen, level)));
    if (turn !== drawn) return;
    multiples.replaceChildren();
    levels.forEach((level, at) => {
      const { groups, points } = arrange(runs, found[at], { ...chosen, level }, axis);
      if (!points.length) return;
      place(runs, { groups, points }, axis, scale, [from, to]);
      const title = count(Number(level), "user"), small = element("div", { class: "chart", role: "img", "aria-label": `${name} at ${title}: ${count(points.length, "run")}` });
      const looks = groups.map(swatch);
      looks.forEach(([look], number) => { groups[number].swatch = look; });
      const link = element("a", { href: `#${hashOf({ ...chosen, level })}`, "aria-current": level === chosen.level ? "true" : null }, title);
      multiples.append(element("figure", {}, element("figcaption", {}, link), element("div", { class: "swatches" }, ...(looks.length > 4 ? [] : looks.map(([, picture]) => picture))), small));
      benchChart.draw(small, {
        groups, points, from, to, shown: () => true, height: 150, small: true, unit: suffix(), base, marks: marksAt(axis), axis, scale,
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
  show();
})();
