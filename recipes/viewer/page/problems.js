// Problems: how hard each is and whether that changes, one over all of training, and what two checkpoints or runs say to it.
"use strict";
{
  const element = reckon.element;
  const DOTS = 400; // sources of one problem at most: the newest

  // Of every problem: how often it was asked, rollouts judged, share right, and the same of the first and the last third of the steps.
  // `set`: of that set's rollouts alone.
  reckon.problemFigures = (view, set = -1) => {
    const { columns, facts, count } = view;
    const many = facts.problems.id.length;
    const judged = facts.statuses.map((name) => ["right", "wrong", "no_answer"].includes(name)),
      right = facts.statuses.indexOf("right");
    let low = Infinity,
      high = -Infinity;
    for (let i = 0; i < count; i++) {
      low = Math.min(low, columns.step[i]);
      high = Math.max(high, columns.step[i]);
    }
    const early = low + (high - low) / 3,
      late = high - (high - low) / 3;
    const sum = () => ({ n: new Uint32Array(many), right: new Uint32Array(many) });
    const asked = new Uint32Array(many);
    const all = sum(),
      first = sum(),
      last = sum();
    const add = (to, problem, ok) => {
      to.n[problem]++;
      to.right[problem] += ok;
    };
    for (let i = 0; i < count; i++) {
      if (set >= 0 && columns.set[i] !== set) continue;
      if (
        !i ||
        columns.group[i] !== columns.group[i - 1] ||
        columns.file[i] !== columns.file[i - 1] ||
        columns.problem[i] !== columns.problem[i - 1]
      )
        asked[columns.problem[i]]++;
      if (!judged[columns.status[i]]) continue;
      const ok = +(columns.status[i] === right),
        problem = columns.problem[i];
      add(all, problem, ok);
      if (columns.step[i] <= early) add(first, problem, ok);
      if (columns.step[i] >= late) add(last, problem, ok);
    }
    const share = ({ n, right: r }) => Float32Array.from(n, (each, i) => (each ? r[i] / each : NaN));
    return { asked, seen: all.n, all: share(all), first: share(first), last: share(last) };
  };

  let order = "asked",
    words = "";

  reckon.problemsTab = (view, go, chosen) => {
    const figures = (view.figures ??= reckon.problemFigures(view));
    const panel = element("div", { class: "panel" });
    const { text, answer } = view.facts.problems;
    let found = [],
      current = chosen ?? -1;
    const list = reckon.list(30, (n) => {
      const p = found[n];
      return element(
        "div",
        { class: p === current ? "rollout own" : "rollout", "data-problem": p, onclick: () => open(p) },
        element("span", { class: "figure" }, reckon.share(figures.all[p])),
        element("span", { class: "figure quiet" }, `${reckon.share(figures.first[p])} \u2192 ${reckon.share(figures.last[p])}`),
        element("span", { class: "figure quiet" }, figures.seen[p].toLocaleString("en")),
        element("span", { class: "what" }, reckon.shown(text[p].slice(0, 120).replace(/\s+/g, " "))),
      );
    });
    const summary = element("p", { class: "summary", role: "status" });
    const update = () => {
      const wanted = words.toLowerCase();
      const keys = {
        asked: (p) => -figures.asked[p],
        seen: (p) => -figures.seen[p],
        hard: (p) => figures.all[p],
        easy: (p) => -figures.all[p],
        learnt: (p) => figures.first[p] - figures.last[p],
        lost: (p) => figures.last[p] - figures.first[p],
      };
      const key = (p) => {
        const value = keys[order](p);
        return Number.isNaN(value) ? Infinity : value;
      };
      found = [...text.keys()].filter((p) => !wanted || text[p].toLowerCase().includes(wanted) || answer[p].toLowerCase() === wanted);
      const by = found.map(key);
      found = [...found.keys()].sort((a, b) => by[a] - by[b] || a - b).map((n) => found[n]);
      summary.replaceChildren(
        `${found.length.toLocaleString("en")} problems: share right of all rollouts, of the first third of the steps \u2192 the last, rollouts`,
      );
      list.set(found.length);
    };
    const open = async (problem) => {
      current = problem;
      list.draw();
      panel.replaceChildren(await overTraining(view, problem));
    };
    const form = element(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      element(
        "label",
        {},
        "problem says",
        element("input", {
          type: "search",
          value: words,
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
            ["asked", "asked most often"],
            ["seen", "most rollouts"],
            ["hard", "hardest first"],
            ["easy", "easiest first"],
            ["learnt", "learnt most"],
            ["lost", "unlearnt most"],
          ].map(([value, label]) => element("option", { value, selected: value === order }, label)),
        ),
      ),
    );
    queueMicrotask(() => {
      update();
      if (current >= 0) open(current);
      else panel.replaceChildren(element("p", { class: "quiet" }, "Choose a problem: all that was ever said to it opens here."));
    });
    return element("div", { class: "browser" }, element("div", { class: "side" }, form, summary, list.node), panel);
  };

  // Where a problem was asked: {first rollout, rows} of each run, set and step.
  const sourcesOf = ({ columns, count }, problem) => {
    const found = new Map();
    for (let i = 0; i < count; i++) {
      if (columns.problem[i] !== problem) continue;
      const key = `${columns.run[i]} ${columns.set[i]} ${columns.step[i]} ${columns.group[i]}`;
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(i);
    }
    return [...found.values()].slice(-DOTS);
  };

  const overTraining = async (view, problem) => {
    const sources = sourcesOf(view, problem);
    const pair = element("div", { class: "pair" });
    let chosen = sources.length > 1 ? [0, sources.length - 1] : [0];
    const compare = async () => {
      line.querySelectorAll(".source").forEach((node, n) => node.setAttribute("aria-pressed", chosen.includes(n)));
      pair.replaceChildren(...(await Promise.all([...chosen].sort((a, b) => a - b).map((n) => reckon.groupPanel(view, sources[n][0])))));
    };
    const line = element(
      "div",
      { class: "timeline" },
      sources.map((rows, n) =>
        element(
          "button",
          {
            type: "button",
            class: "source",
            title: `${reckon.where(view, rows[0])}: choose it to be compared`,
            onclick: () => {
              chosen = chosen.includes(n) ? chosen.filter((each) => each !== n) : [...chosen, n].slice(-2);
              compare();
            },
          },
          element(
            "span",
            { class: "dots" },
            rows.slice(0, 32).map((i) => element("i", { class: `dot ${view.facts.statuses[view.columns.status[i]]}` })),
          ),
          element("span", { class: "quiet" }, reckon.where(view, rows[0])),
        ),
      ),
    );
    await compare();
    return element(
      "div",
      {},
      element(
        "p",
        { class: "quiet" },
        sources.length > 1
          ? `asked ${sources.length.toLocaleString("en")} times: the two that are marked are shown below, of other steps, checkpoints or runs as you choose`
          : "asked once",
      ),
      line,
      pair,
    );
  };
}
