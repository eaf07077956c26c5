// Text of models and users: it is shown, never obeyed. Nodes are made by createElement and textContent alone.
"use strict";
{
  // An element: tag, attributes (class, title, on...), children (nodes and texts).
  reckon.element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else if (name === "value") node.value = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  };
  const element = reckon.element;

  const SHOWN = 20000; // characters at first: a megabyte of one line would stop a browser
  // Control characters but tab and line end, marks that turn the direction of writing, and what has no width.
  const ODD =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

  // A text with what is odd in it named. It is isolated: no direction in it reaches what stands around.
  reckon.shown = (text, most = SHOWN) => {
    const node = element("bdi", { class: "text", dir: "auto" });
    fill(node, text, most, plain);
    return node;
  };

  // The same, with formulas between $ $, $$ $$, \( \) and \[ \] set as such.
  reckon.typeset = (text, most = SHOWN) => {
    const node = element("bdi", { class: "text", dir: "auto" });
    fill(node, text, most, withFormulas);
    return node;
  };

  const fill = (node, text, most, put) => {
    let end = text.length > most ? most : text.length;
    if (end < text.length && text.charCodeAt(end - 1) >> 10 === 0xd800 >> 10) end -= 1; // never half a character
    put(node, text.slice(0, end));
    if (end < text.length) {
      const more = element("button", { type: "button", class: "more" }, `${(text.length - end).toLocaleString()} characters more`);
      more.onclick = () => {
        more.remove();
        fill(node, text.slice(end), most * 4, put);
      };
      node.append(more);
    }
  };

  const plain = (node, text) => {
    let done = 0;
    for (const found of text.matchAll(ODD)) {
      node.append(text.slice(done, found.index), odd(found[0]));
      done = found.index + found[0].length;
    }
    node.append(text.slice(done));
  };

  const odd = (character) => {
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return element("span", { class: "odd", title: `the character U+${code}, which would not be seen` }, `U+${code}`);
  };
  reckon.oddities = (text) => text.replace(ODD, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

  const FORMULA =
    /\$\$([^]{1,2000}?)\$\$|\\\[([^]{1,2000}?)\\\]|\\\(([^]{1,2000}?)\\\)|\$(?! )([^$\n]{1,500}?)(?<! )\$(?!\d)|(\\boxed\{[^{}\n]{1,200}(?:\{[^{}\n]{0,200}\}[^{}\n]{0,200}){0,4}\})/g;
  const MOST_FORMULAS = 300;

  const withFormulas = (node, text) => {
    let done = 0,
      count = 0;
    for (const found of text.matchAll(FORMULA)) {
      if (++count > MOST_FORMULAS) break;
      plain(node, text.slice(done, found.index));
      node.append(
        formula(found[1] ?? found[2] ?? found[3] ?? found[4] ?? found[5], found[1] !== undefined || found[2] !== undefined, found[0]),
      );
      done = found.index + found[0].length;
    }
    plain(node, text.slice(done));
  };

  const formula = (tex, display, whole) => {
    const node = element("span", { class: "formula", title: reckon.oddities(whole) });
    try {
      katex.render(tex, node, {
        displayMode: display,
        trust: false,
        throwOnError: false,
        maxExpand: 100,
        maxSize: 10,
        strict: "ignore",
        output: "html",
      });
    } catch {
      node.textContent = whole; // KaTeX throws for what is no string or too deep, whatever it was told
    }
    return node;
  };

  reckon.number = (value, digits = 3) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "-";
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(digits - 1) : String(+value.toPrecision(digits + 1));
  };
  reckon.share = (value) => (Number.isNaN(value) ? "-" : `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`);
}
