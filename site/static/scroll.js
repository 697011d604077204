/* What is too wide scrolls by itself, and then, and only then, the keyboard stops at it, so that its keys can scroll. */
"use strict";

(() => {
  const check = ({ target }) => {
    const box = target.closest(".scroll");
    if (!box) return; // it has left the page
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const sizes = new ResizeObserver((entries) => entries.forEach(check));

  /** Watch the boxes in a part of the page, and what they hold: either may change its width. */
  function watch(part) {
    for (const box of [...(part.matches(".scroll") ? [part] : []), ...part.querySelectorAll(".scroll")]) {
      sizes.observe(box);
      for (const child of box.children) sizes.observe(child);
    }
    const within = part.parentElement?.closest(".scroll");
    if (within) sizes.observe(part);
  }

  watch(document.body);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node instanceof HTMLElement) watch(node);
  }).observe(document.body, { childList: true, subtree: true });
})();
