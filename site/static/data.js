/* The site's data for scripts, and what scripts share. A page opened from a folder may not fetch, but it may run scripts:
   data/X.js calls benchData("X", <JSON>). Most lie beside data/X.json, which is the same for others. */
"use strict";

const { benchData, benchLoad } = (() => {
  const root = new URL("..", document.currentScript.src);
  const waiting = new Map(), loading = new Map();

  /** Called by a data script. */
  function benchData(path, value) {
    waiting.get(path)?.(value);
    waiting.delete(path);
  }

  /** A promise of what data/<path>.js holds, once for each page; it is rejected where there is none. */
  function benchLoad(path) {
    if (path.split("/").some((part) => /^\.*$/.test(part))) return Promise.reject(new Error(`${path} leads out of data/`));
    if (!loading.has(path)) loading.set(path, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`data/${path.split("/").map(encodeURIComponent).join("/")}.js`, root);
      script.onerror = () => { loading.delete(path); reject(new Error(`data/${path}.js cannot be loaded`)); };
      script.onload = () => reject(new Error(`data/${path}.js does not hold what its name says`)); // after a resolve: nothing
      waiting.set(path, resolve);
      document.head.append(script);
    }));
    return loading.get(path);
  }

  return { benchData, benchLoad };
})();

/** Words and number formats as in scripts/words.py and scripts/report/sentences.py. Text is only ever set as text, never as markup. */
const benchText = (() => {
  const NOTHING = "–";
  const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}]/gu; // as in scripts/escape.py
  const grouped = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  /** About three significant digits, never in exponent form. */
  function figure(value) {
    if (value === null || value === undefined) return NOTHING;
    const size = Math.abs(value);
    return grouped(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
  }

  /** 2.50x (2.41 to 2.59), or the ratio and that there is no interval. */
  function interval({ ratio, low, high }) {
    if (low === null || high === null) return `${ratio.toFixed(2)}x (no interval)`;
    return `${ratio.toFixed(2)}x (${low.toFixed(2)} to ${high.toFixed(2)})`;
  }

  /** One line of text that others wrote, in which nothing hides or reorders it: plain() of scripts/escape.py. */
  const plain = (text) => String(text).replace(/\s+/g, " ").trim().replace(UNSEEN, "\ufffd");

  const day = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const moment = (seconds) => `${day(seconds)}, ${new Date(seconds * 1000).toISOString().slice(11, 16)} UTC`;
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  /** An element with attributes and children; strings become text, never markup. */
  function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
    node.append(...children.map((child) => (typeof child === "string" ? child.replace(UNSEEN, "\ufffd") : child)));
    return node;
  }

  /** An SVG element. */
  function drawing(name, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  /** A table of rows, which scrolls by itself where it is too wide. */
  function table(caption, heads, rows, kind = "numeric") {
    const head = element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text))));
    return element("div", { class: "scroll", role: "region", "aria-label": caption },
      element("table", { class: kind }, element("caption", {}, caption), head, element("tbody", {}, ...rows)));
  }

  /** Of a table; cells are elements or strings. */
  const row = (head, cells) => element("tr", {}, element("th", { scope: "row" }, head),
    ...cells.map((cell) => (typeof cell === "string" ? element("td", {}, cell) : cell)));

  return { NOTHING, count, day, drawing, element, figure, interval, moment, plain, row, table };
})();
