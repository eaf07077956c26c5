// All rollouts of all runs: filtered by what the index says of them, searched in what they say, looked at in their groups.
"use strict";
{
  const element = reckon.element;

  // What is asked for. Every part of it that is empty asks for nothing.
  reckon.nothing = {
    run: "",
    set: "",
    status: "",
    finish: "",
    part: "",
    above: "",
    below: "",
    stepFrom: "",
    stepTo: "",
    longer: "",
    shorter: "",
    scoreFrom: "",
    scoreTo: "",
    problem: "",
    response: "",
    order: "step",
  };
  const asked = { ...reckon.nothing };

  // Rollouts that fit, by their numbers. One pass over columns of numbers; a problem's text is looked at once a problem.
  reckon.filtered = (view, asked) => {
    const { columns, facts, count } = view;
    const tests = [];
    const number = (text) => (text === "" ? NaN : Number(text));
    const equal = (name, value) => {
      if (value !== "") {
        const column = columns[name],
          wanted = +value;
        tests.push((i) => column[i] === wanted);
      }
    };
    equal("run", asked.run);
    equal("set", asked.set);
    equal("finish", asked.finish);
    if (asked.status === "no verdict") {
      const lost = facts.statuses.map((name) => !["right", "wrong", "no_answer"].includes(name));
      tests.push((i) => lost[columns.status[i]]);
    } else equal("status", asked.status);
    const between = (column, from, to) => {
      const low = number(from),
        high = number(to);
      if (!Number.isNaN(low)) tests.push((i) => column[i] >= low);
      if (!Number.isNaN(high)) tests.push((i) => column[i] <= high);
    };
    between(columns.step, asked.stepFrom, asked.stepTo);
    between(columns.length, asked.longer, asked.shorter);
    between(columns.score, asked.scoreFrom, asked.scoreTo);
    if (asked.part !== "") between(columns[`part-${asked.part}`], asked.above, asked.below);
    if (asked.problem) {
      const words = asked.problem.toLowerCase();
      const { text, answer, id } = facts.problems;
      const fits = Uint8Array.from(
        text,
        (each, n) => +(each.toLowerCase().includes(words) || answer[n].toLowerCase() === words || id[n] === asked.problem),
      );
      tests.push((i) => fits[columns.problem[i]] === 1);
    }
    const found = new Uint32Array(count);
    let n = 0;
    next: for (let i = 0; i < count; i++) {
      for (let t = 0; t < tests.length; t++) if (!tests[t](i)) continue next;
      found[n++] = i;
    }
    return ordered(view, found.subarray(0, n), asked.order);
  };

  const ordered = ({ columns }, found, order) => {
    if (order === "step") return found;
    const column = columns[order.replace(/^-/, "")],
      sign = order.startsWith("-") ? -1 : 1;
    const key = (i) => (Number.isNaN(column[i]) ? Infinity : sign * column[i]);
    const keys = Float64Array.from(found, key);
    const places = Uint32Array.from(found.keys()).sort((a, b) => keys[a] - keys[b] || a - b);
    return places.map((place) => found[place]);
  };

  const choice = (name, label, options, changed) =>
    element(
      "label",
      {},
      label,
      element(
        "select",
        {
          name,
          onchange: (event) => {
            asked[name] = event.target.value;
            changed();
          },
        },
        options.map(([value, text]) => element("option", { value, selected: String(value) === asked[name] }, text)),
      ),
    );
  const field = (name, label, changed, type = "number") =>
    element(
      "label",
      {},
      label,
      element("input", {
        name,
        type,
        value: asked[name],
        size: type === "number" ? 5 : 18,
        oninput: (event) => {
          asked[name] = event.target.value;
          changed();
        },
      }),
    );

  reckon.rolloutsTab = (view, go) => {
    const { facts, columns } = view;
    let found = new Uint32Array(0),
      current = -1,
      search = 0;
    const panel = element("div", { class: "panel" }, element("p", { class: "quiet" }, "Choose a rollout: its whole group opens here."));
    const summary = element("p", { class: "summary", role: "status" });
    const list = reckon.list(30, (n) => row(found[n]));
    const row = (i) => {
      const problem = facts.problems.text[columns.problem[i]];
      return element(
        "div",
        { class: i === current ? "rollout own" : "rollout", "data-rollout": i, onclick: () => open(i) },
        reckon.verdict(view, i),
        element("span", { class: "quiet" }, reckon.where(view, i)),
        element("span", { class: "figure" }, reckon.number(columns.score[i])),
        element("span", { class: "figure quiet" }, `${columns.length[i]}`),
        element("span", { class: "what" }, reckon.shown(problem.slice(0, 120).replace(/\s+/g, " "))),
      );
    };
    const open = async (i) => {
      current = i;
      list.draw();
      try {
        panel.replaceChildren(await reckon.groupPanel(view, i, (problem) => go("problems", problem)));
      } catch (error) {
        panel.replaceChildren(element("p", { class: "quiet" }, `${error.message}`));
      }
    };
    const show = (rows, more = "") => {
      found = rows;
      let right = 0,
        judged = 0;
      for (const i of rows) {
        const status = facts.statuses[columns.status[i]];
        right += status === "right";
        judged += status === "right" || status === "wrong" || status === "no_answer";
      }
      summary.replaceChildren(
        `${rows.length.toLocaleString("en")} of ${view.count.toLocaleString("en")} rollouts, ${reckon.share(right / judged)} of those judged right${more}`,
      );
      list.set(rows.length);
    };
    const update = () => {
      search++;
      const began = performance.now();
      const rows = reckon.filtered(view, asked);
      show(rows);
      reckon.filterTook = performance.now() - began;
      if (asked.response) searchIn(rows, asked.response.toLowerCase(), search);
    };
    // What responses say is in the slices: they are read one after another, and what fits is shown as it is found.
    const searchIn = async (rows, words, own) => {
      const fits = [];
      let done = 0,
        drawn = 0;
      for (let n = 0; n < rows.length;) {
        const pack = await reckon.sliceOf(view, rows[n]).catch(() => null);
        if (search !== own) return;
        const same = (i) => ["run", "set", "file", "slice"].every((name) => columns[name][i] === columns[name][rows[n]]);
        let end = n;
        while (end < rows.length && same(rows[end])) {
          if (pack?.facts.response[columns.row[rows[end]]].toLowerCase().includes(words)) fits.push(rows[end]);
          end++;
        }
        n = done = end;
        if (performance.now() - drawn > 250 || n >= rows.length) {
          drawn = performance.now();
          show(
            Uint32Array.from(fits),
            n < rows.length ? `; ${done.toLocaleString("en")} of ${rows.length.toLocaleString("en")} searched` : "; all searched",
          );
        }
      }
      if (!rows.length) show(rows);
    };
    let waiting = 0;
    const soon = () => {
      clearTimeout(waiting);
      waiting = setTimeout(update, 200);
    };
    const any = ["", "any"];
    const numbered = (names) => names.map((name, n) => [n, name]);
    const form = element(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      facts.runs.length > 1 ? choice("run", "run", [any, ...numbered(facts.runs.map((run) => run.name))], update) : null,
      facts.sets.length > 1 ? choice("set", "set", [any, ...numbered(facts.sets)], update) : null,
      choice(
        "status",
        "verdict",
        [any, ...numbered(facts.statuses.slice(0, -1).map((name) => name.replace("_", " "))), ["no verdict", "no verdict at all"]],
        update,
      ),
      choice("finish", "end", [any, [0, "by itself"], [1, "cut at the limit"], [2, "taken back"]], update),
      field("stepFrom", "step from", soon),
      field("stepTo", "to", soon),
      field("longer", "tokens from", soon),
      field("shorter", "to", soon),
      field("scoreFrom", "score from", soon),
      field("scoreTo", "to", soon),
      facts.parts.length
        ? [
            choice("part", "reward part", [["", "any"], ...numbered(facts.parts)], update),
            field("above", "from", soon),
            field("below", "to", soon),
          ]
        : null,
      field("problem", "problem says", soon, "search"),
      field("response", "response says", soon, "search"),
      choice(
        "order",
        "order",
        [
          ["step", "as sampled"],
          ["-score", "best first"],
          ["score", "worst first"],
          ["-length", "longest first"],
          ["length", "shortest first"],
          ["problem", "by problem"],
        ],
        update,
      ),
    );
    queueMicrotask(update);
    return element("div", { class: "browser" }, element("div", { class: "side" }, form, summary, list.node), panel);
  };
}
