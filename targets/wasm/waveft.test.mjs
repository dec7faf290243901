// The module against PEFT: the adapters, bases and results in waveft-std/tests/data.

import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { layers } from "./reconstruct.mjs";
import { readSafetensors } from "./safetensors.mjs";
import { load, readConfig } from "./waveft.mjs";

const MOST_BYTES = 64 * 1024;
const data = new URL("../../waveft-std/tests/data/", import.meta.url);
const file = (path) => fileURLToPath(new URL(path, data));
const open = async (path) => readSafetensors(await readFile(file(path)));
const bytes = await readFile(new URL("waveft.wasm", import.meta.url));
const waveft = await load(bytes);
const bits = (floats) => new Uint32Array(floats.buffer, floats.byteOffset, floats.length);

/** Within a few roundings of the largest of the numbers: where coefficients overlap, torch sums in another order. */
function assertClose(found, expected, what) {
  assert.equal(found.length, expected.length, what);
  // Subnormal numbers have fewer digits.
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [index, value] of found.entries()) {
    const apart = Math.abs(value - expected[index]);
    assert(apart <= Math.max(4 * 2 ** -24 * largest, 2 ** -140), `${what}[${index}]: expected ${expected[index]}, found ${value}`);
  }
}

test("the module is small", async () => {
  const { size } = await stat(new URL("waveft.wasm", import.meta.url));
  console.log(`waveft.wasm: ${size} bytes of at most ${MOST_BYTES}`);
  assert(size <= MOST_BYTES);
  assert.deepEqual(WebAssembly.Module.imports(await WebAssembly.compile(bytes)), []);
});

const { cases } = JSON.parse(await readFile(file("cases.json"), "utf8"));
// Bases of one file in f32 whose names are the adapter's.
const single = cases.filter(({ base, prefix }) => ["bases/llama", "bases/gpt2"].includes(base) && prefix === "");

test("there are cases of every kind", () => {
  const names = single.map(({ name }) => name);
  for (const name of ["plain", "direct", "coif4", "seed64", "conv1d", "two"]) assert(names.includes(name), name);
});

for (const { name, base, adapters, expected, delta } of single) {
  test(`PEFT's merge, and back: ${name}`, async () => {
    const weights = await open(`${base}/model.safetensors`);
    const merged = await open(expected);
    const records = [];
    const work = new Map();
    const parts = await Promise.all(adapters.map((adapter) => layers(file(adapter), weights)));
    for (const [key, layer] of parts.flatMap((part) => [...part])) {
      if (!work.has(key)) work.set(key, weights.get(key).values.slice());
      records.push([key, layer, layer.add(work.get(key))]);
    }
    assert(work.size > 0);
    for (const [key, weight] of work) {
      assertClose(weight, merged.get(key).values, key);
      assert.notDeepEqual(bits(weight), bits(weights.get(key).values));
    }
    for (const [key, layer, record] of records.reverse()) layer.undo(work.get(key), record);
    for (const [key, weight] of work) assert.deepEqual(bits(weight), bits(weights.get(key).values));
  });

  if (delta === undefined) continue;
  test(`PEFT's ΔW: ${name}`, async () => {
    const expected = await open(delta);
    const weights = await open(`${base}/model.safetensors`);
    const made = await layers(file(adapters[0]), weights);
    assert.deepEqual([...made.keys()].sort(), [...expected.keys()].sort());
    for (const [key, layer] of made) {
      const { shape, values } = expected.get(key); // outputs × inputs
      const [rows, columns] = layer.shape;
      const isTransposed = weights.get(key).shape[0] !== shape[0];
      const delta = layer.delta();
      const turned = delta.map((_, at) => delta[(at % rows) * columns + Math.floor(at / rows)]);
      assertClose(isTransposed ? turned : delta, values, key);
    }
  });
}

test("torch's places", async () => {
  const text = await readFile(new URL("../../waveft-core/tests/data/locations.json", import.meta.url), "utf8");
  const cases = JSON.parse(text).cases.filter(({ rows, cols, count }) => count <= 64 && rows * cols <= 2 ** 24);
  assert(cases.length > 50);
  for (const { rows, cols, seed, count, locations } of cases) {
    const places = await waveft.locations({ outFeatures: rows, inFeatures: cols, count, seed: BigInt(seed) });
    const indices = locations.map((_, at) => places[2 * at] * cols + places[2 * at + 1]);
    assert.deepEqual([indices, places.length], [locations, 2 * count], `${rows} × ${cols}, seed ${seed}`);
  }
});

/** Where a place is on an axis: the first sample of its atom, which may be cut off, and whether in the second half. */
function position(place, length, taps) {
  const padded = Math.ceil((length + taps - 2) / 2) * 2;
  const index = place + Math.floor((padded - length) / 2);
  const isHigh = index >= padded / 2;
  return { start: 2 * (isHigh ? index - padded / 2 : index) - (taps - 2), isHigh };
}

test("every wavelet has its taps: one coefficient is the outer product of two filters", async () => {
  const banks = readSafetensors(await readFile(new URL("../../waveft-core/tests/data/filter_banks.safetensors", import.meta.url)));
  const named = [...banks].filter(([name]) => !name.startsWith("peft/"));
  assert.equal(named.length, 106);
  const [outFeatures, inFeatures] = [9, 14];
  for (const [wavelet, { shape, values }] of [...named, ["peft-coif4", banks.get("peft/coif4")]]) {
    const taps = shape[1];
    const filters = [values.slice(2 * taps, 3 * taps), values.slice(3 * taps)]; // rec_lo, rec_hi
    const halves = new Set();
    for (let seed = 0; seed < 16; seed += 1) {
      const [row, column] = await waveft.locations({ outFeatures, inFeatures, count: 1, seed });
      const options = { outFeatures, inFeatures, seed, wavelet, scaling: 0.5 };
      const layer = await waveft.layer({ ...options, spectrum: Float32Array.of(3) });
      const down = position(row, outFeatures, taps);
      const across = position(column, inFeatures, taps);
      halves.add(`${down.isHigh} ${across.isHigh}`);
      const tap = (filter, index) => filter[index] ?? 0;
      const expected = Float32Array.from({ length: outFeatures * inFeatures }, (_, at) => {
        const [i, j] = [Math.floor(at / inFeatures), at % inFeatures];
        // The halves are crossed, as PEFT crosses them.
        return 1.5 * tap(filters[+across.isHigh], i - down.start) * tap(filters[+down.isHigh], j - across.start);
      });
      assertClose(layer.delta(), expected, wavelet);
    }
    assert.equal(halves.size, 4);
  }
});

const good = { outFeatures: 8, inFeatures: 6, spectrum: new Float32Array(5).fill(1) };

for (const [what, options, error] of [
  ["an empty axis", { outFeatures: 0 }, /outFeatures: expected an integer of 1 to/],
  ["half an axis", { inFeatures: 2.5 }, /inFeatures: expected an integer/],
  ["an axis that is too long", { inFeatures: 2 ** 30 }, /inFeatures: expected an integer/],
  ["more memory than there is", { outFeatures: 2 ** 16, inFeatures: 2 ** 16 }, /4 GiB/],
  ["an unknown wavelet", { wavelet: "db39" }, /expected a wavelet of PyWavelets .* found "db39"/],
  ["an empty name", { wavelet: "" }, /found ""/],
  ["no coefficients", { spectrum: new Float32Array(0) }, /expected 1 to 8 × 6 coefficients, found 0/],
  ["too many", { spectrum: new Float32Array(49) }, /found 49/],
  ["a list", { spectrum: [1, 2] }, /spectrum: expected a Float32Array, found Array/],
  ["no spectrum", { spectrum: undefined }, /spectrum: expected a Float32Array, found undefined/],
  ["a seed that JSON rounded", { seed: 2 ** 63 }, /seed: expected a safe integer/],
  ["a scaling in words", { scaling: "25" }, /scaling: expected a number/],
]) {
  test(`refused: ${what}`, async () => {
    await waveft.layer(good);
    await assert.rejects(waveft.layer({ ...good, ...options }), error);
  });
}

test("refused: weights and records of another length, which stay as they are", async () => {
  const layer = await waveft.layer(good);
  const weight = new Float32Array(48);
  const record = layer.add(weight);
  for (const length of [0, 47, 49]) {
    const other = new Float32Array(length);
    assert.throws(() => layer.add(other), /weight: expected 48 elements, found/);
    assert.throws(() => layer.undo(other, record), /weight: expected 48/);
    assert(other.every((entry) => entry === 0));
  }
  const before = weight.slice();
  assert.throws(() => layer.undo(weight, record.slice(1)), /record: expected 20 elements, found 19/);
  assert.throws(() => layer.add(new Float64Array(48)), /weight: expected a Float32Array, found Float64Array/);
  assert.deepEqual(weight, before);
});

test("refused: other files", async () => {
  await assert.rejects(load(new Uint8Array(8)), WebAssembly.CompileError);
  assert.throws(() => readConfig("{}"), /peft_type: expected "WAVEFT", found undefined/);
  assert.throws(() => readConfig("{"), SyntaxError);
  const whole = await readFile(file("expected/plain-delta.safetensors"));
  for (const length of [0, 7, 8, 100, whole.length - 1]) {
    assert.throws(() => readSafetensors(whole.subarray(0, length)), RangeError, `${length}`);
  }
  const huge = Uint8Array.from(whole);
  huge.fill(255, 0, 8);
  assert.throws(() => readSafetensors(huge), /expected a header/);
});

test("f16 and bf16 are read exactly", () => {
  const header = JSON.stringify({
    half: { dtype: "F16", shape: [5], data_offsets: [0, 10] },
    brain: { dtype: "BF16", shape: [], data_offsets: [10, 12] },
    count: { dtype: "I32", shape: [1], data_offsets: [12, 16] },
  });
  const halves = [0x3555, 0x0001, 0xfbff, 0xfc00, 0x8000, 0xc049, 0, 0];
  const whole = new Uint8Array(8 + header.length + 16);
  new DataView(whole.buffer).setBigUint64(0, BigInt(header.length), true);
  whole.set(new TextEncoder().encode(header), 8);
  halves.forEach((half, at) => new DataView(whole.buffer).setUint16(8 + header.length + 2 * at, half, true));
  const tensors = readSafetensors(whole);
  const expected = [0.333251953125, 2 ** -24, -65504, -Infinity, -0];
  assert.deepEqual([...tensors.get("half").values], expected);
  assert.deepEqual([...tensors.get("brain").values], [-3.140625]);
  assert.equal(tensors.get("count").values, undefined);
});
