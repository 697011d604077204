/* What a comparison found, as one list: only what changed or all, sorted by any column, and as Markdown to put into an issue. */
"use strict";

const benchList = (() => {
  const { NOTHING, count, element, plain } = benchText;

  /** Rows: [{backend, metric, level (a number, or null for all levels), ratio, low, high, said, kind (good, bad, quiet)}]. */
  const COLUMNS = {
    backend: { head: "backend", of: (row) => row.backend.toLowerCase(), show: (row) => row.backend },
    metric: { head: "metric", of: (row) => row.metric.toLowerCase(), show: (row) => row.metric },
    level: { head: "users", of: (row) => row.level ?? Infinity, show: (row) => (row.level === null ? "all levels" : String(row.level)) },
    size: { head: "ratio", of: (row) => Math.abs(Math.log(row.ratio)), show: (row) => `${row.ratio.toFixed(2)}x` },
    interval: { head: "interval", of: (row) => (row.low === null ? Infinity : row.high / row.low), show: (row) => (row.low === null ? NOTHING : `${row.low.toFixed(2)} to ${row.high.toFixed(2)}`) },
    said: { head: "so", of: (row) => row.said, show: (row) => row.said },
  };
  const changed = (row) => row.kind === "good" || row.kind === "bad";

  function sorted(rows, { by, descending }) {
    const { of } = COLUMNS[by], sign = descending ? -1 : 1;
    return [...rows].sort((a, b) => (of(a) === of(b) ? 0 : of(a) < of(b) ? -sign : sign));
  }

  /** Text of a cell of a Markdown table, in which nothing is more than text. */
  const escaped = (text) => plain(text).replace(/[\\`*_{}[\]()<>#+\-.!|~&@:]/g, (sign) => (/[<>&@]/.test(sign) ? `&#${sign.codePointAt(0)};` : `\\${sign}`));

  function markdown(rows) {
    const lines = [Object.values(COLUMNS).map(({ head }) => head), Object.keys(COLUMNS).map(() => "---")];
    for (const row of rows) lines.push(Object.values(COLUMNS).map(({ show }) => escaped(show(row))));
    return `${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
  }

  /** The list as a section of the page. */
  function section(rows) {
    const order = { by: "size", descending: true };
    const only = element("input", { type: "checkbox", name: "changed" }), text = element("input", { type: "search", name: "filter" });
    const said = element("p", { class: "quiet", role: "status" }), box = element("div", { class: "scroll", role: "region", "aria-label": "What changed" });
    const source = element("textarea", { readonly: "", rows: "8", "aria-label": "The list as Markdown" }), copy = element("button", { type: "button" }, "Copy");
    only.checked = rows.some(changed);

    function head(name) {
      const mine = order.by === name, button = element("button", { type: "button", class: "sort", "data-by": name }, `${COLUMNS[name].head}${mine ? (order.descending ? " ↓" : " ↑") : ""}`);
      button.addEventListener("click", () => {
        Object.assign(order, { by: name, descending: mine && !order.descending });
        draw();
        box.querySelector(`[data-by=${name}]`).focus();
      });
      return element("th", { scope: "col", "aria-sort": mine ? (order.descending ? "descending" : "ascending") : "none" }, button);
    }

    function draw() {
      const words = text.value.trim().toLowerCase(), wanted = rows.filter((row) => (!only.checked || changed(row)) && `${row.backend} ${row.metric}`.toLowerCase().includes(words));
      const visible = sorted(wanted, order);
      said.textContent = `${count(visible.length, "row")} of ${rows.length}; ${rows.filter(changed).length} say that something changed.`;
      box.replaceChildren(element("table", {}, element("caption", { class: "hidden" }, "What changed"), element("thead", {}, element("tr", {}, ...Object.keys(COLUMNS).map(head))),
        element("tbody", {}, ...visible.map((row) => element("tr", {}, ...Object.entries(COLUMNS).map(([name, { show }], place) => element(place ? "td" : "th", place ? { class: name === "said" ? row.kind : null } : { scope: "row" }, plain(show(row)))))))));
      source.value = markdown(visible);
    }

    only.addEventListener("change", draw);
    text.addEventListener("input", draw);
    copy.addEventListener("click", () => { source.select(); document.execCommand("copy"); copy.textContent = "Copied"; });
    draw();
    return element("section", { id: "list" }, element("h2", {}, "What changed"),
      element("div", { class: "controls" }, element("label", {}, "Backend or metric ", text), element("label", { class: "tick" }, only, " only what changed")), said, box,
      element("details", {}, element("summary", {}, "As Markdown"), source, element("p", {}, copy)));
  }

  return { section, markdown };
})();
