// What was sampled together, side by side: each completion with its verdict, why, and its tokens.
"use strict";
{
  const element = reckon.element;
  const AT_FIRST = 16; // completions of a group

  // The slice of a rollout, and where in it the rollout lies.
  const sliceOf = (view, i) => {
    const { columns } = view;
    return reckon.load(`${columns.run[i]}-${columns.set[i]}-${columns.file[i]}-${columns.slice[i]}`);
  };
  reckon.sliceOf = sliceOf;

  // All rollouts that were sampled with rollout i, in order: they lie beside each other.
  reckon.groupOf = ({ columns, count }, i) => {
    const same = (j) => ["run", "set", "file", "group", "problem"].every((name) => columns[name][j] === columns[name][i]);
    let begin = i,
      end = i + 1;
    while (begin > 0 && same(begin - 1)) begin--;
    while (end < count && same(end)) end++;
    return [...Array(end - begin).keys()].map((each) => begin + each);
  };

  reckon.verdict = (view, i) => {
    const status = view.facts.statuses[view.columns.status[i]];
    return element("span", { class: `verdict ${status}` }, status.replace("_", " "));
  };

  reckon.where = ({ facts, columns }, i) => {
    const set = facts.sets[columns.set[i]];
    const run = facts.runs.length > 1 ? `${facts.runs[columns.run[i]].name}, ` : "";
    return `${run}${set === "train" ? "" : `${set}, `}step ${columns.step[i]}`;
  };

  // How completions are shown: kept while one walks from group to group.
  const mode = { as: "typeset", colour: "logp" };
  const panels = new Map(); // those in the page: what each does when the mode changes
  const modeChanged = () => {
    for (const [panel, update] of panels) {
      if (panel.isConnected) update();
      else panels.delete(panel);
    }
  };

  // The panel of the group of rollout `i`, whose own card is marked.
  reckon.groupPanel = async (view, i, pick = () => {}) => {
    const rows = [i, ...reckon.groupOf(view, i).filter((other) => other !== i)]; // the one that was chosen is seen at once
    const pack = await sliceOf(view, i);
    const pieces = await piecesOf(view, view.columns.run[i]);
    const id = view.facts.problems.id[view.columns.problem[i]];
    const [problem, answer, verifier] = pack.facts.problems[id] ?? ["", "", ""];
    const colours = Object.keys(view.facts.colours).filter((name) => pack.arrays[name] && pieces);
    if (!colours.includes(mode.colour) && colours.length) mode.colour = colours[0];
    const cards = element("div", { class: "cards" });
    const fill = () => {
      cards.replaceChildren(...rows.slice(0, AT_FIRST).map((row) => card(view, pack, pieces, row, row === i)));
      if (rows.length > AT_FIRST) {
        const more = element("button", { type: "button", class: "more" }, `${rows.length - AT_FIRST} more of this group`);
        more.onclick = () => more.replaceWith(...rows.slice(AT_FIRST).map((row) => card(view, pack, pieces, row, row === i)));
        cards.append(more);
      }
    };
    fill();
    const head = element(
      "div",
      { class: "problem" },
      element(
        "div",
        { class: "quiet" },
        `${reckon.where(view, i)}, group ${view.columns.group[i]}: ${rows.length} completion${rows.length > 1 ? "s" : ""} of problem ${id}`,
        element("button", { type: "button", class: "link", onclick: () => pick(view.columns.problem[i]) }, "this problem over training"),
      ),
      element("div", { class: "asked" }, asked(problem)),
      element(
        "div",
        {},
        element("span", { class: "quiet" }, "gold answer "),
        reckon.typeset(answer),
        element("span", { class: "quiet" }, verifier ? `  judged by ${verifier}` : ""),
      ),
    );
    return element("section", { class: "group" }, head, controls(colours, pieces, fill), cards);
  };

  // A prompt: a text, or the turns of messages.
  const asked = (text) => {
    if (text.startsWith("[{")) {
      try {
        return JSON.parse(text).map((turn) =>
          element("div", {}, element("span", { class: "quiet" }, `${turn.role}: `), reckon.typeset(String(turn.content))),
        );
      } catch {
        /* a text that only looks like messages */
      }
    }
    return [reckon.typeset(text)];
  };

  const controls = (colours, pieces, changed) => {
    const legend = element("span");
    const colour = element(
      "select",
      {
        "aria-label": "colour tokens by",
        onchange: () => {
          mode.colour = colour.value;
          modeChanged();
        },
      },
      colours.map((name) => element("option", { value: name, selected: name === mode.colour }, reckon.scales[name].label)),
    );
    const as = [["typeset", "formulas"], ["plain", "text"], ...(pieces ? [["tokens", "tokens"]] : [])];
    const buttons = as.map(([name, label]) =>
      element(
        "button",
        {
          type: "button",
          class: "as",
          "data-as": name,
          onclick: () => {
            mode.as = name;
            modeChanged();
          },
        },
        label,
      ),
    );
    if (!pieces && mode.as === "tokens") mode.as = "typeset";
    const update = () => {
      if (colours.includes(mode.colour)) colour.value = mode.colour;
      buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.as === mode.as));
      colour.hidden = legend.hidden = mode.as !== "tokens" || !colours.length;
      if (colours.length) legend.replaceChildren(reckon.legend(mode.colour));
      changed();
    };
    const bar = element(
      "div",
      { class: "bar" },
      element("span", { class: "quiet" }, "show as"),
      buttons,
      colour,
      legend,
      pieces ? null : element("span", { class: "quiet" }, "tokens need the run's tokenizer, which was not found: reckon view --tokenizer"),
    );
    update();
    panels.set(bar, update);
    return bar;
  };

  const card = (view, pack, pieces, i, own) => {
    const { columns, facts } = view;
    const at = columns.row[i];
    const begin = (pack.begins ??= begins(pack.arrays.length));
    const rollout = { arrays: pack.arrays, begin: begin[at], end: begin[at + 1], pieces };
    const finish = facts.finishes[columns.finish[i]];
    const parts = facts.parts.map((name, part) => [name, columns[`part-${part}`][i]]).filter(([, value]) => !Number.isNaN(value));
    const advantage = pack.arrays.advantage ? pack.arrays.advantage[begin[at]] : NaN;
    const head = element(
      "div",
      { class: "head" },
      reckon.verdict(view, i),
      element("span", {}, `score ${reckon.number(columns.score[i])}`),
      element(
        "span",
        { class: "quiet" },
        `${columns.length[i].toLocaleString()} tokens${finish === "length" ? ", cut at the limit" : finish === "abort" ? ", taken back" : ""}`,
      ),
      Number.isNaN(advantage) ? null : element("span", { class: "quiet" }, `advantage ${reckon.number(advantage)}`),
      parts.map(([name, value]) => element("span", { class: "part" }, reckon.shown(`${name} ${reckon.number(value)}`))),
    );
    const response = pack.facts.response[at];
    const body =
      mode.as === "tokens" && pieces
        ? reckon.tokensOf(rollout, mode.colour)
        : mode.as === "plain"
          ? reckon.shown(response)
          : reckon.typeset(response);
    const steps = pack.facts.steps[at]?.length
      ? element(
          "details",
          {},
          element("summary", {}, `${pack.facts.steps[at].length} steps judged`),
          pack.facts.steps[at].map(([end, score], n) =>
            element(
              "div",
              {},
              `${reckon.number(score)}  `,
              reckon.shown(response.slice(n ? pack.facts.steps[at][n - 1][0] : 0, end).trim(), 500),
            ),
          ),
        )
      : null;
    const explained = pack.facts.explained[at];
    const detail = pack.facts.detail[at];
    const why = element(
      "div",
      { class: "why" },
      explained
        ? element(
            "table",
            {},
            explained.map((line) => {
              const [key, ...rest] = line.split(": ");
              return element("tr", {}, element("th", {}, key), element("td", {}, reckon.shown(rest.join(": "), 2000)));
            }),
          )
        : detail
          ? reckon.shown(detail, 2000)
          : null,
    );
    return element("article", { class: own ? "card own" : "card" }, head, body, steps, why);
  };

  const begins = (lengths) => {
    const found = new Uint32Array(lengths.length + 1);
    lengths.forEach((length, i) => {
      found[i + 1] = found[i] + length;
    });
    return found;
  };

  // Token ids of a run to their texts; null where no tokenizer was found.
  const piecesOf = async (view, run) => {
    const number = view.facts.runs[run].words;
    if (number === null || number === undefined) return null;
    const pack = await reckon.load(`words-${number}`, view.facts.live ? view.version : undefined);
    return (pack.pieces ??= new Map(pack.facts.pieces.map((piece, i) => [pack.arrays.ids[i], piece])));
  };
}
