// The page: reads the index, shows one tab, and looks for news where a run is being watched.
"use strict";
{
  const element = reckon.element;
  const main = document.getElementById("main");
  let view = null,
    open = null;

  const tabsOf = ({ facts, count }) => [
    ...(facts.examples ? [["examples", "Examples", reckon.examplesTab]] : []),
    ...((facts.runs ?? []).some((run) => run.keys.length) ? [["curves", "Curves", reckon.curvesTab]] : []),
    ...(count
      ? [
          ["groups", "Groups", reckon.groupsTab],
          ["rollouts", "Rollouts", reckon.rolloutsTab],
          ["problems", "Problems", reckon.problemsTab],
        ]
      : []),
  ];

  const go = (name, ...more) => {
    const tabs = tabsOf(view);
    const [key, , show] = tabs.find(([key]) => key === name) ?? tabs[0] ?? [];
    open = key;
    document
      .getElementById("tabs")
      .replaceChildren(
        ...tabs.map(([key, label]) =>
          element(
            "button",
            { type: "button", role: "tab", "data-tab": key, "aria-selected": String(key === open), onclick: () => go(key) },
            label,
          ),
        ),
      );
    reckon.tip(null);
    main.replaceChildren(
      show ? show(view, go, ...more) : element("p", { class: "quiet" }, "This run has neither numbers nor rollouts yet."),
    );
    if (location.hash.slice(1) !== key) history.replaceState(null, "", `#${key ?? ""}`);
  };

  const read = async (version) => {
    const { facts, arrays } = await reckon.load("index", version);
    view = { facts, columns: arrays, count: arrays.run?.length ?? 0, version };
    const names = (facts.runs ?? []).map((run) => run.name);
    const title = facts.examples
      ? facts.examples.source
      : names.length > 3
        ? `${names[0]} and ${names.length - 1} more runs`
        : names.join(", ");
    document.getElementById("title").textContent = reckon.oddities(title);
    reckon.view = view;
  };

  // A watched run writes live.js anew: it calls this with a number that grows.
  let seen = 0;
  reckon.news = async (version, said) => {
    const node = document.getElementById("live");
    node.hidden = false;
    node.textContent = said;
    if (version === seen) return;
    const first = seen === 0;
    seen = version;
    if (first && version === 1) return;
    await read(version);
    if (open === "curves" || open === "groups" || !open) go(open);
    else node.append(" ", element("button", { type: "button", onclick: () => go(open) }, "show what is new"));
  };
  const POLL = 3000;
  const ask = () => {
    const script = document.createElement("script");
    script.src = `live.js?${Date.now()}`;
    script.onload = script.onerror = () => {
      script.remove();
      setTimeout(ask, POLL);
    };
    document.head.append(script);
  };

  document.getElementById("theme").onclick = () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    reckon.redraw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => reckon.redraw());
  addEventListener("hashchange", () => {
    if (view && location.hash.slice(1) !== open) go(location.hash.slice(1));
  });

  read().then(
    () => {
      go(location.hash.slice(1));
      document.documentElement.dataset.ready = "true";
      if (view.facts.live) ask();
    },
    (error) => {
      main.replaceChildren(element("p", {}, `This page cannot be read: ${error.message}`));
    },
  );
}
