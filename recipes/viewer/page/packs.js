// Packs: tables that arrive as scripts, since a page opened from disk may fetch nothing. `recipes/viewer/packs.py` is the other end.
"use strict";
const reckon = { arrivals: new Map(), waiting: new Map(), kept: new Map() };

// What every data script calls. It may come before anybody asks, where everything is in one file.
reckon.arrived = (name, text) => {
  reckon.arrivals.set(name, text);
  const resolve = reckon.waiting.get(name);
  if (resolve) {
    reckon.waiting.delete(name);
    resolve();
  }
};

{
  const MOST_KEPT = 60; // unpacked packs: the ones used longest ago go
  const DEADLINE = 30000; // milliseconds for a file of the own disk

  // The script's text, loaded once. `version` makes a file that was rewritten another address.
  const fetched = (name, version) => {
    if (!version && reckon.arrivals.has(name)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const timer = setTimeout(() => script.onerror(), DEADLINE);
      const done = (then) => (value) => {
        clearTimeout(timer);
        script.remove();
        then(value);
      };
      reckon.waiting.set(name, done(resolve));
      script.onerror = done(() => {
        reckon.waiting.delete(name);
        reject(new Error(`data/${name}.js is missing or cannot be read`));
      });
      script.src = `data/${name}.js` + (version ? `?${version}` : "");
      document.head.append(script);
    });
  };

  const bytesOf = (text) => {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  };

  const unzipped = async (bytes) =>
    new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());

  const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f2: Uint16Array };

  const unpacked = async (text) => {
    const bytes = await unzipped(bytesOf(text));
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    const arrays = {};
    for (const [name, [kind, place, count]] of Object.entries(header.arrays)) {
      const array = new KINDS[kind](bytes.buffer, 4 + length + place, count);
      arrays[name] = kind === "f2" ? widened(array) : array;
    }
    return { facts: header.facts, arrays };
  };

  // All half-precision numbers there are, by their bits.
  let halves = null;
  const widened = (bits) => {
    if (!halves) {
      halves = new Float32Array(1 << 16);
      for (let i = 0; i < 1 << 16; i++) {
        const exponent = (i >> 10) & 31,
          fraction = i & 1023;
        const size =
          exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
        halves[i] = i >> 15 ? -size : size;
      }
    }
    return Float32Array.from(bits, (each) => halves[each]);
  };

  // A pack by its name: {facts, arrays}. With `version`, that of a file which is written again and again. Who asks while it is on its way
  // waits for the same.
  const coming = new Map();
  reckon.load = async (name, version) => {
    const key = version ? `${name}?${version}` : name;
    if (reckon.kept.has(key)) {
      const found = reckon.kept.get(key);
      reckon.kept.delete(key);
      reckon.kept.set(key, found); // used last
      return found;
    }
    if (!coming.has(key))
      coming.set(
        key,
        brought(name, version).finally(() => coming.delete(key)),
      );
    const found = await coming.get(key);
    reckon.kept.set(key, found);
    if (reckon.kept.size > MOST_KEPT) reckon.kept.delete(reckon.kept.keys().next().value);
    return found;
  };

  const brought = async (name, version) => {
    await fetched(name, version);
    const text = reckon.arrivals.get(name);
    if (document.querySelector("script[src]")) reckon.arrivals.delete(name); // it lies on disk
    return unpacked(text);
  };
}
