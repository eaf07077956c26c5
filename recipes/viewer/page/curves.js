// Curves of all runs: those that differ in nothing but the seed are one line with a band from the lowest to the highest.
"use strict";
{
  const element = reckon.element;
  const CHARTS = [
    ["Accuracy", (key) => key === "accuracy" || /^eval\/(.*\/)?accuracy$/.test(key), { range: [0, 1] }],
    ["Reward", (key) => key === "reward" || key.startsWith("reward/")],
    ["Loss", (key) => key === "loss" || key === "eval/loss"],
    ["Length of completions (tokens)", (key) => key === "length" || key === "length_max"],
    ["Entropy (nats a token)", (key) => key === "entropy" || key === "entropy_trained"],
    ["KL (nats a token)", (key) => key === "kl_reference" || key === "sampler_kl", { log: true }],
    ["Preferences", (key) => key.startsWith("rewards/")],
    ["Critic", (key) => ["critic/explained", "critic/value", "critic/return"].includes(key)],
    ["Cut at the limit, clipped (shares)", (key) => key === "truncated_share" || key === "clipped_share", { range: [0, 1] }],
    ["Norm of the gradient", (key) => key === "grad_norm"],
    ["Learning rate", (key) => key === "lr"],
    ["Seconds a step", (key) => key === "time/step"],
  ];
  const KINDS = [
    ["groups_mixed", "mixed: these teach"],
    ["groups_all_right", "all right"],
    ["groups_all_wrong", "all wrong"],
    ["groups_equal", "equal scores"],
    ["groups_no_verdict", "no verdict"],
  ];

  const families = (view) => {
    const found = new Map();
    view.facts.runs.forEach((run, n) => {
      if (!found.has(run.family)) found.set(run.family, []);
      found.get(run.family).push(n);
    });
    return [...found.values()];
  };

  const series = (view, run, key) => ({ x: view.columns[`${run}/step`], y: view.columns[`${run}/${key}`] });

  // A line of a key of a family of runs, with the interval of an evaluation where one run has one.
  const lineOf = (view, runs, key, label, colour, thin) => {
    const having = runs.filter((run) => view.columns[`${run}/${key}`]);
    if (!having.length) return null;
    const line = { label, colour, thin, ...reckon.banded(having.map((run) => series(view, run, key))) };
    const ends = key.endsWith("accuracy") && having.length === 1 && [key.replace(/accuracy$/, "low"), key.replace(/accuracy$/, "high")];
    if (ends && key !== "accuracy" && ends.every((end) => view.columns[`${having[0]}/${end}`])) {
      const [low, high] = ends.map((end) => reckon.banded([series(view, having[0], end)]));
      return { ...line, low: low.mean, high: high.mean, interval: true };
    }
    return line.x.length ? line : null;
  };

  const nameOf = (view, runs) => {
    const names = runs.map((run) => view.facts.runs[run].name);
    return names.length > 1 ? `${names[0]} and ${names.length - 1} more seed${names.length > 2 ? "s" : ""}` : names[0];
  };

  let added = [];

  reckon.curvesTab = (view) => {
    const keys = [...new Set(view.facts.runs.flatMap((run) => run.keys))];
    const groups = families(view);
    const short = (key) =>
      key.replace(/^eval\//, "held-out ").replace(/\/?accuracy$/, (all) => (all.startsWith("/") ? " accuracy" : "accuracy"));
    const chartOf = (title, wanted, options = {}) => {
      const lines = wanted
        .flatMap((key, k) =>
          groups.map((runs, f) => {
            const colour = reckon.palette[(groups.length > 1 ? f : k) % reckon.palette.length];
            return lineOf(
              view,
              runs,
              key,
              [groups.length > 1 ? nameOf(view, runs) : "", wanted.length > 1 || groups.length === 1 ? short(key) : ""]
                .filter(Boolean)
                .join(": "),
              colour,
              groups.length > 1 && k > 0,
            );
          }),
        )
        .filter(Boolean);
      return lines.length ? reckon.chart(title, lines, options) : null;
    };
    const charts = CHARTS.map(([title, fits, options]) => [title, keys.filter(fits), options])
      .filter(([, wanted]) => wanted.length)
      .map(([title, wanted, options]) => chartOf(title, wanted.slice(0, 8), options));
    const grid = element(
      "div",
      { class: "charts" },
      charts,
      added.map((key) => chartOf(key, [key])),
    );
    const more = element(
      "select",
      {
        "aria-label": "another number",
        onchange: () => {
          if (!more.value) return;
          added.push(more.value);
          const chart = chartOf(more.value, [more.value]);
          if (chart) {
            grid.append(chart);
            chart.draw();
          }
          more.value = "";
        },
      },
      element("option", { value: "" }, `another of the ${keys.length} numbers of a step ...`),
      keys.map((key) => element("option", { value: key }, key)),
    );
    requestAnimationFrame(reckon.redraw);
    return element("div", {}, seedsLine(view, groups), grid, element("p", {}, more), options(view), numbers(view, keys));
  };

  // Of every number: the first and the last of each run.
  const numbers = (view, keys) => {
    const ends = (run, key) => {
      const held = [...(view.columns[`${run}/${key}`] ?? [])].filter((value) => !Number.isNaN(value));
      return held.length ? `${reckon.number(held[0])} \u2192 ${reckon.number(held[held.length - 1])}` : "-";
    };
    const node = element("details", {}, element("summary", {}, `numbers: the first and the last of ${keys.length}`));
    node.addEventListener("toggle", () => {
      if (node.open && !node.querySelector("table"))
        node.append(
          element(
            "table",
            { class: "options" },
            keys.map((key) =>
              element(
                "tr",
                {},
                element("th", {}, reckon.shown(key, 200)),
                view.facts.runs.map((_, run) => element("td", { class: "figure" }, ends(run, key))),
              ),
            ),
          ),
        );
    });
    return node;
  };

  const seedsLine = (view, groups) => {
    const several = groups.filter((runs) => runs.length > 1);
    return several.length
      ? element("p", { class: "quiet" }, "A line is the mean over seeds, its band goes from the lowest to the highest of them.")
      : view.facts.runs.some((run) => run.keys.includes("eval/low"))
        ? element("p", { class: "quiet" }, "Bands of held-out accuracies are their 95 % intervals: how much of them may be luck.")
        : "";
  };

  // What the runs were given, those options first in which they differ.
  const options = (view) => {
    const { runs } = view.facts;
    const names = [...new Set(runs.flatMap((run) => Object.keys(run.options)))];
    const told = (run, name) => JSON.stringify(run.options[name] ?? null);
    const differs = (name) => new Set(runs.map((run) => told(run, name))).size > 1;
    const row = (name) =>
      element(
        "tr",
        { class: runs.length > 1 && differs(name) ? "differs" : "" },
        element("th", {}, name),
        runs.map((run) => element("td", {}, reckon.shown(told(run, name), 200))),
      );
    const sorted = [...names].sort((a, b) => differs(b) - differs(a));
    return element(
      "details",
      { open: runs.length > 1 && names.some(differs) },
      element("summary", {}, runs.length > 1 ? `options: ${names.filter(differs).length} differ` : "options"),
      element(
        "table",
        { class: "options" },
        element(
          "tr",
          {},
          element("th", {}, ""),
          runs.map((run) => element("th", {}, run.name)),
        ),
        element(
          "tr",
          {},
          element("th", {}, "status"),
          runs.map((run) => element("td", {}, `${run.method} ${run.status}`)),
        ),
        sorted.map(row),
      ),
    );
  };

  // Dead groups over steps, and how many problems are how hard.
  reckon.groupsTab = (view) => {
    const figures = (view.trained ??= reckon.problemFigures(view, Math.max(0, view.facts.sets.indexOf("train"))));
    const charts = view.facts.runs.map((run, n) => {
      const lines = KINDS.map(([key, label], k) =>
        lineOf(view, [n], key, label, ["#3b76b5", "#3f8f5a", "#d1622b", "#9a9a9a", "#c0436b"][k]),
      ).filter(Boolean);
      return lines.length ? reckon.chart(`Groups, shares: ${run.name}`, lines, { range: [0, 1] }) : null;
    });
    requestAnimationFrame(reckon.redraw);
    return element(
      "div",
      {},
      element(
        "p",
        { class: "quiet" },
        "A group whose completions all have the same score is dead: it teaches nothing. Problems are by the share of their rollouts that is right.",
      ),
      element(
        "div",
        { class: "charts" },
        charts,
        histogram("Problems, the first third of the steps", figures.first),
        histogram("Problems, the last third of the steps", figures.last),
      ),
    );
  };

  const histogram = (title, shares) => {
    const counts = new Array(12).fill(0);
    for (const share of shares)
      if (!Number.isNaN(share)) counts[share === 0 ? 0 : share === 1 ? 11 : 1 + Math.min(9, Math.floor(share * 10))]++;
    const most = Math.max(1, ...counts);
    const label = (n) => (n === 0 ? "never right" : n === 11 ? "always right" : `${(n - 1) * 10} to ${n * 10} %`);
    return element(
      "figure",
      { class: "chart" },
      element("figcaption", {}, title),
      element(
        "table",
        { class: "bars" },
        counts.map((count, n) => {
          const bar = element("span", { class: "bar-of" });
          bar.style.width = `${(100 * count) / most}%`;
          return element(
            "tr",
            {},
            element("th", {}, label(n)),
            element("td", { class: "wide" }, bar),
            element("td", { class: "figure" }, count.toLocaleString("en")),
          );
        }),
      ),
    );
  };
}
