// A list of as many rows as one likes, of which those that are seen exist.
"use strict";
{
  const element = reckon.element;

  // `makeRow(i)` gives the element of row i; all rows are `height` pixels. `set(count)` says how many there are.
  reckon.list = (height, makeRow) => {
    const inner = element("div", { class: "rows" });
    const node = element("div", { class: "list", tabindex: 0 }, inner);
    let count = 0;
    const draw = () => {
      const first = Math.max(0, Math.floor(node.scrollTop / height) - 5);
      const last = Math.min(count, first + Math.ceil((node.clientHeight || 600) / height) + 10);
      inner.replaceChildren();
      for (let i = first; i < last; i++) {
        const row = makeRow(i);
        row.classList.add("row");
        row.style.top = `${i * height}px`;
        row.style.height = `${height}px`;
        inner.append(row);
      }
    };
    node.addEventListener("scroll", () => requestAnimationFrame(draw));
    return {
      node,
      draw,
      set: (number) => {
        count = number;
        inner.style.height = `${number * height}px`;
        draw();
      },
    };
  };
}
