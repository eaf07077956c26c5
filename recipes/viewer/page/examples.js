// Data for supervised and preference learning: each sequence as the model sees it, and which of its tokens train.
"use strict";
{
  const element = reckon.element;

  reckon.examplesTab = (view) => {
    const { examples } = view.facts;
    const { columns } = view;
    const units = columns["unit-begin"].length;
    const panel = element("div", { class: "panel" });
    let found = [...Array(units).keys()],
      current = 0,
      words = "",
      order = "as written";
    const rowsOf = (unit) => {
      const begin = columns["unit-begin"][unit],
        end = unit + 1 < units ? columns["unit-begin"][unit + 1] : columns.length.length;
      return [...Array(end - begin).keys()].map((n) => begin + n);
    };
    const total = (unit, name) => rowsOf(unit).reduce((sum, row) => sum + columns[name][row], 0);
    const list = reckon.list(30, (n) =>
      element(
        "div",
        { class: found[n] === current ? "rollout own" : "rollout", "data-unit": found[n], onclick: () => open(found[n]) },
        element("span", { class: "figure" }, total(found[n], "trained").toLocaleString("en")),
        element("span", { class: "figure quiet" }, `of ${total(found[n], "length").toLocaleString("en")}`),
        element("span", { class: "what" }, reckon.shown(`${examples.place[found[n]]}: ${examples.begins[found[n]]}`)),
      ),
    );
    const open = async (unit) => {
      current = unit;
      list.draw();
      const rows = rowsOf(unit);
      const pack = await reckon.load(`examples-${columns["unit-slice"][unit]}`);
      const words = await reckon.load("words-0");
      const pieces = (words.pieces ??= new Map(words.facts.pieces.map((piece, i) => [words.arrays.ids[i], piece])));
      panel.replaceChildren(
        element(
          "section",
          { class: "group" },
          element("p", { class: "quiet" }, examples.place[unit]),
          element("div", { class: "bar" }, reckon.legend("trains")),
          element(
            "div",
            { class: "cards" },
            rows.map((row, n) => {
              const begin = columns.begin[row];
              const rollout = { arrays: pack.arrays, begin, end: begin + columns.length[row], pieces };
              const facts = examples.columns[row] ?? {};
              return element(
                "article",
                { class: "card" },
                element(
                  "div",
                  { class: "head" },
                  rows.length === 2 ? element("span", { class: `verdict ${n ? "wrong" : "right"}` }, n ? "rejected" : "chosen") : null,
                  element(
                    "span",
                    { class: "quiet" },
                    `${columns.length[row].toLocaleString("en")} tokens, ${columns.trained[row].toLocaleString("en")} train`,
                  ),
                  Object.entries(facts).map(([name, value]) =>
                    element("span", { class: "part" }, reckon.shown(`${name} ${reckon.number(value)}`)),
                  ),
                ),
                reckon.tokensOf(rollout, "trains"),
              );
            }),
          ),
        ),
      );
    };
    const summary = element("p", { class: "summary", role: "status" });
    const update = () => {
      const wanted = words.toLowerCase();
      found = [...Array(units).keys()].filter(
        (unit) => !wanted || examples.begins[unit].toLowerCase().includes(wanted) || examples.place[unit].includes(wanted),
      );
      if (order === "longest") found.sort((a, b) => total(b, "length") - total(a, "length"));
      if (order === "least") found.sort((a, b) => total(a, "trained") - total(b, "trained"));
      summary.replaceChildren(`${found.length.toLocaleString("en")} of ${units.toLocaleString("en")}`);
      list.set(found.length);
    };
    const form = element(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      element(
        "label",
        {},
        "says",
        element("input", {
          type: "search",
          oninput: (event) => {
            words = event.target.value;
            update();
          },
        }),
      ),
      element(
        "label",
        {},
        "order",
        element(
          "select",
          {
            onchange: (event) => {
              order = event.target.value;
              update();
            },
          },
          [
            ["as written", "as written"],
            ["longest", "longest first"],
            ["least", "least trained first"],
          ].map(([value, label]) => element("option", { value }, label)),
        ),
      ),
    );
    queueMicrotask(() => {
      update();
      if (units) open(0);
    });
    return element(
      "div",
      {},
      examples.lines.map((line) => element("p", { class: "quiet" }, reckon.shown(line))),
      element("div", { class: "browser" }, element("div", { class: "side" }, form, summary, list.node), panel),
    );
  };
}
