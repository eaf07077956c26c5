// Tokens of a completion, each with a background by one of its numbers; hovering one says all of them.
"use strict";
{
  const element = reckon.element;
  const MOST = 3000; // tokens of a completion at first

  // How a number becomes a colour: from 0 (nothing) to 1 on the first scale, or -1 to 1 on a scale with two sides.
  const SCALES = {
    logp: { label: "log-probability", of: (x) => Math.min(1, -x / 4), words: ["likely", "unlikely (below -4)"] },
    entropy: { label: "entropy", of: (x) => Math.min(1, x / 3), words: ["sure", "unsure (above 3 nats)"] },
    log_ratio: { label: "ratio", two: true, of: (x) => Math.max(-1, Math.min(1, x / 0.5)), words: ["less likely now", "more likely now"] },
    ref_log_ratio: {
      label: "against the reference",
      two: true,
      of: (x) => Math.max(-1, Math.min(1, x / 2)),
      words: ["less likely than there", "more likely"],
    },
    advantage: { label: "advantage", two: true, of: (x) => Math.max(-1, Math.min(1, x / 1.5)), words: ["discouraged", "encouraged"] },
    value: {
      label: "value",
      two: true,
      of: (x) => Math.max(-1, Math.min(1, 2 * x - 1)),
      words: ["0: expected to fail", "1: expected to succeed"],
    },
    trains: { label: "mask", of: (x) => (x ? 0.55 : 0), words: ["does not train", "trains"] },
  };
  reckon.scales = SCALES;

  reckon.colourOf = (name, value) => {
    if (Number.isNaN(value)) return "";
    const scale = SCALES[name],
      x = scale.of(value);
    const hue = scale.two ? (x < 0 ? "var(--cold)" : "var(--warm)") : "var(--warm)";
    return `color-mix(in srgb, ${hue} ${Math.round(85 * Math.abs(x))}%, transparent)`;
  };

  reckon.legend = (name) => {
    const scale = SCALES[name];
    const steps = scale.two ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    const boxes = steps.map((x) => {
      const box = element("span", { class: "box" });
      const hue = scale.two && x < 0 ? "var(--cold)" : "var(--warm)";
      box.style.background = `color-mix(in srgb, ${hue} ${Math.round(85 * Math.abs(x))}%, transparent)`;
      return box;
    });
    return element("span", { class: "legend" }, scale.words[0], ...boxes, scale.words[1]);
  };

  // `rollout`: {tokens, begin, end, arrays, pieces (Map)}; `name`: what to colour by, "" for none.
  reckon.tokensOf = (rollout, name) => {
    const node = element("div", { class: "tokens text", dir: "auto" });
    const put = (from) => {
      const end = Math.min(rollout.end, from + MOST);
      for (let i = from; i < end; i++) node.append(tokenAt(rollout, i, name));
      if (end < rollout.end) {
        const more = element("button", { type: "button", class: "more" }, `${(rollout.end - end).toLocaleString()} tokens more`);
        more.onclick = () => {
          more.remove();
          put(end);
        };
        node.append(more);
      }
    };
    put(rollout.begin);
    node.addEventListener("mouseover", (event) => {
      const token = event.target.closest(".token");
      if (token) reckon.tip(token, said(rollout, +token.dataset.at));
    });
    node.addEventListener("mouseleave", () => reckon.tip(null));
    return node;
  };

  const tokenAt = (rollout, i, name) => {
    const piece = rollout.pieces.get(rollout.arrays.tokens[i]) ?? `<${rollout.arrays.tokens[i]}>`;
    const given = rollout.arrays.sampled && !rollout.arrays.sampled[i];
    const node = element("span", { class: given ? "token given" : "token" });
    node.dataset.at = i;
    node.append(...[...reckon.shown(piece.replaceAll("\n", "\u23ce\n") || "\u2205").childNodes]);
    const values = rollout.arrays[name];
    if (name && values) node.style.background = reckon.colourOf(name, values[i]);
    return node;
  };

  const said = (rollout, i) => {
    const { arrays } = rollout;
    const id = arrays.tokens[i];
    const rows = [["token", `${i - rollout.begin + 1} of ${rollout.end - rollout.begin}, id ${id}`]];
    if (arrays.logp) rows.push(["probability", `${reckon.number(Math.exp(arrays.logp[i]))} (log ${reckon.number(arrays.logp[i])})`]);
    if (arrays.sampled && !arrays.sampled[i]) rows.push(["given", "by a tool or a prefill, not sampled"]);
    for (const name of ["entropy", "log_ratio", "ref_log_ratio", "advantage", "value", "trains"]) {
      const values = arrays[name];
      if (!values || Number.isNaN(values[i])) continue;
      const value =
        name === "log_ratio"
          ? `${reckon.number(Math.exp(values[i]), 4)} (log ${reckon.number(values[i])})`
          : name === "trains"
            ? values[i]
              ? "trains"
              : "does not train"
            : reckon.number(values[i]);
      rows.push([SCALES[name].label, value]);
    }
    const head = element("b", {}, reckon.shown(JSON.stringify(rollout.pieces.get(id) ?? "")));
    return element(
      "div",
      {},
      head,
      element(
        "table",
        {},
        rows.map(([key, value]) => element("tr", {}, element("th", {}, key), element("td", {}, value))),
      ),
    );
  };

  // Shows a node beside another one; with null, hides what was shown.
  reckon.tip = (beside, node) => {
    const tip = document.getElementById("tip");
    tip.hidden = !beside;
    if (!beside) return;
    tip.replaceChildren(node);
    const at = beside.getBoundingClientRect();
    const below = at.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below ? at.bottom + 6 : Math.max(4, at.top - tip.offsetHeight - 6)}px`;
  };
}
