/* The list of all runs or commits: nothing is loaded before somebody chooses, sorts or searches. The choice is kept in the
   address; a value is that of the newest run of a line, its change that to the run before it which can be compared. */
"use strict";

(() => {
  const { NOTHING, count, element, figure, moment, plain } = benchText;
  const AT_ONCE = 200; // rows
  const [form, state, box, more] = ["filters", "state", "list", "more"].map((id) => document.getElementById(id));
  const COLUMNS = {
    time: { head: "measured", of: (one) => one.time },
    commit: { head: "commit", of: (one) => one.subject.toLowerCase() },
    runs: { head: "runs", of: (one) => one.runs, list: "commits" },
    value: { head: "value", of: (one) => one.value },
    change: { head: "against the one before", of: (one) => one.change },
    profile: { head: "profile", of: (one) => one.profile, list: "runs" },
    environment: { head: "environment", of: (one) => one.place, list: "runs" },
  };
  let turn = 0, shown = AT_ONCE;

  function choices() {
    const given = new URLSearchParams(location.hash.slice(1)), found = { sort: given.get("sort") ?? "-time" };
    for (const control of form.elements) {
      const value = given.get(control.name) ?? "";
      if (control.tagName === "SELECT") found[control.name] = [...control.options].some((o) => o.value === value) ? value : control.options[0].value;
      else found[control.name] = value;
    }
    if (!(found.sort.replace("-", "") in COLUMNS)) found.sort = "-time";
    return found;
  }

  /** Keep the choice in the address: a step of its own, or, while somebody types, the same one. */
  function choose(changed, step = "pushState") {
    const chosen = { ...choices(), ...changed }, hash = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value)).toString();
    if (`#${hash}` !== location.hash) history[step](null, "", `#${hash}`);
    shown = AT_ONCE;
    return show();
  }

  /** A row for each run, oldest first, with the change to the run before that has the same environment, levels and arms. */
  function rowsOf(runs, detail, subjects, series) {
    const values = new Map(series.run.map((run, place) => [run, series.value[place]])), before = new Map();
    return runs.started.map((time, run) => {
      const line = [runs.environment[run], runs.scope[run], runs.baseline[run]].join(), value = values.get(run) ?? null, last = before.get(line) ?? null;
      if (value !== null) before.set(line, value);
      return {
        run, time, value, change: value !== null && last ? value / last - 1 : null, subject: plain(subjects[run]), commit: detail.commit[run], id: detail.id[run],
        profile: plain(runs.profiles[runs.profile[run]]) + (runs.baseline[run] < 0 ? "" : ", paired"), place: plain(runs.environments[runs.environment[run]].text), runs: 1,
        kind: runs.profile[run], environment: runs.environment[run],
      };
    });
  }

  /** The newest run of each commit stands for it, and the newest that has a value for that. */
  function byCommit(rows) {
    const found = new Map();
    for (const row of rows) {
      const last = found.get(row.commit), valued = row.value === null && last ? { value: last.value, change: last.change } : {};
      found.set(row.commit, { ...row, ...valued, runs: (last?.runs ?? 0) + 1 });
    }
    return [...found.values()];
  }

  const matches = (text) => (row) => !text || row.commit.startsWith(text) || row.subject.toLowerCase().includes(text);

  /** Ascending or not; what has no value comes last. */
  function sorted(rows, sort) {
    const { of } = COLUMNS[sort.replace("-", "")], sign = sort.startsWith("-") ? -1 : 1;
    const order = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign);
    return [...rows].sort((a, b) => order(of(a), of(b)) || b.time - a.time);
  }

  const percent = (change) => (change === null ? NOTHING : `${change > 0 ? "+" : ""}${(100 * change).toFixed(1)}%`);

  function cells(row, names, unit) {
    const commit = row.commit ? [element("a", { href: `commit/${row.commit}.html` }, element("code", {}, row.commit.slice(0, 7))), " "] : [];
    const made = {
      time: () => element("th", { scope: "row" }, element("a", { href: `run/${encodeURIComponent(row.id)}.html` }, moment(row.time))),
      commit: () => element("td", { class: "text" }, ...commit, row.subject),
      runs: () => element("td", {}, String(row.runs)),
      value: () => element("td", {}, row.value === null ? NOTHING : `${figure(row.value)} ${unit}`),
      change: () => element("td", {}, percent(row.change)),
      profile: () => element("td", {}, row.profile),
      environment: () => element("td", { class: "text" }, row.place),
    };
    return names.map((name) => made[name]());
  }

  function heads(names, sort) {
    return names.map((name) => {
      const mine = sort.replace("-", "") === name, descending = sort.startsWith("-");
      const button = element("button", { type: "button", class: "sort" }, `${COLUMNS[name].head}${mine ? (descending ? " ↓" : " ↑") : ""}`);
      button.addEventListener("click", async () => {
        await choose({ sort: mine && descending ? name : `-${name}` });
        [...box.querySelectorAll("button.sort")].find((one) => one.textContent.startsWith(COLUMNS[name].head))?.focus();
      });
      return element("th", { scope: "col", "aria-sort": mine ? (descending ? "descending" : "ascending") : "none" }, button);
    });
  }

  async function show() {
    const mine = ++turn, chosen = choices();
    for (const control of form.elements) if (control.value !== chosen[control.name]) control.value = chosen[control.name];
    let loaded;
    try {
      loaded = await Promise.all([...["runs", "runs-detail", "runs-subjects"], `series/${chosen.backend}/${chosen.metric}/all`].map(benchLoad));
    } catch (error) {
      state.textContent = `${error.message}: build the site again.`;
      return;
    }
    if (mine !== turn) return;
    const wanted = rowsOf(...loaded).filter((row) => (chosen.profile === "" || row.kind === Number(chosen.profile)) && (chosen.environment === "" || row.environment === Number(chosen.environment)));
    const rows = sorted((chosen.list === "commits" ? byCommit(wanted) : wanted).filter(matches(chosen.text.trim().toLowerCase())), chosen.sort);
    const names = Object.keys(COLUMNS).filter((name) => (COLUMNS[name].list ?? chosen.list) === chosen.list), what = chosen.list.slice(0, -1);
    const unit = form.elements.metric.selectedOptions[0].dataset.unit, visible = rows.slice(0, shown);
    box.replaceChildren(element("table", { class: "runs" }, element("caption", { class: "hidden" }, chosen.list),
      element("thead", {}, element("tr", {}, ...heads(names, chosen.sort))),
      element("tbody", {}, ...visible.map((row) => element("tr", {}, ...cells(row, names, unit))))));
    state.textContent = rows.length > visible.length ? `${visible.length} of ${count(rows.length, what)}.` : `${count(rows.length, what)}.`;
    more.hidden = rows.length <= visible.length;
  }

  /** The list as it was made gets its headings to sort by; what they need is loaded at the first use. */
  function begin() {
    const names = ["time", "commit", "value", "profile", "environment"];
    box.querySelector("thead tr").replaceChildren(...heads(names, "-time"));
  }

  more.addEventListener("click", () => { shown += AT_ONCE; show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => { // what was typed is drawn already: a click on a row must find the row
    if (target !== form.elements.text) choose({ [target.name]: target.value });
  });
  form.elements.text.addEventListener("input", () => choose({ text: form.elements.text.value }, "replaceState"));
  addEventListener("popstate", show);
  if (location.hash) show(); else begin();
})();
