// WaveFT adapters in JavaScript, by waveft.wasm. See README.md, and waveft.d.mts for the types.

const PAGE = 2 ** 16;
const MOST_BYTES = 2 ** 32 - PAGE;
// The length of an axis and the taps of the longest filter, 102, are less than 2³⁰ together.
const LONGEST_AXIS = 2 ** 30 - 103;

const REASONS = {
  3: ({ wavelet }) => `expected a wavelet of PyWavelets or "peft-coif4", found ${JSON.stringify(wavelet)}`,
  4: ({ outFeatures, inFeatures, count }) => `expected 1 to ${outFeatures} × ${inFeatures} coefficients, found ${count}`,
};

function check(status, options) {
  if (status !== 0) {
    throw new RangeError(REASONS[status]?.(options) ?? `the layer is refused: status ${status}`);
  }
}

function axis(name, value) {
  if (!Number.isInteger(value) || value < 1 || value > LONGEST_AXIS) {
    throw new RangeError(`${name}: expected an integer of 1 to ${LONGEST_AXIS}, found ${value}`);
  }
  return value;
}

function seedOf(value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return BigInt(value);
  throw new TypeError(`seed: expected a safe integer or a BigInt, found ${value}`);
}

function floats(name, value, length) {
  if (!(value instanceof Float32Array)) {
    throw new TypeError(`${name}: expected a Float32Array, found ${value?.constructor?.name ?? value}`);
  }
  if (length !== undefined && value.length !== length) {
    throw new RangeError(`${name}: expected ${length} elements, found ${value.length}`);
  }
  return value;
}

/** Buffers one behind the other in the memory of an instance, from the first byte that the module leaves free. */
class Memory {
  constructor(exports) {
    this.memory = exports.memory;
    this.end = exports.__heap_base.value;
  }

  take(bytes) {
    const at = Math.ceil(this.end / 16) * 16;
    const missing = at + bytes - this.memory.buffer.byteLength;
    if (at + bytes > MOST_BYTES) throw new RangeError(`expected a layer of less than 4 GiB, found ${at + bytes} bytes`);
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    this.end = at + bytes;
    return at;
  }

  floats(at, length) {
    return new Float32Array(this.memory.buffer, at, length);
  }
}

/** Draws places into memory and says where they are. */
function draw(exports, memory, { outFeatures, inFeatures, count, seed }) {
  const entries = axis("outFeatures", outFeatures) * axis("inFeatures", inFeatures);
  if (!Number.isInteger(count) || count < 1 || count > entries) check(4, { outFeatures, inFeatures, count });
  const places = memory.take(8 * count);
  // As unsigned: what does not fit is refused by the memory.
  const length = exports.draw_scratch_length(outFeatures, inFeatures, count) >>> 0;
  const scratch = memory.take(4 * length);
  check(exports.draw(outFeatures, inFeatures, seedOf(seed), places, count, scratch, length), { outFeatures, inFeatures, count });
  return places;
}

/** One layer's update, in a memory of its own, which goes when the layer goes. */
class Layer {
  #exports;
  #memory;
  #layer;
  #weight;
  #length;
  #record;
  #recordLength;

  constructor(exports, options) {
    const { outFeatures, inFeatures, spectrum, seed, wavelet, scaling, fanInFanOut } = options;
    const count = floats("spectrum", spectrum).length;
    if (typeof scaling !== "number") throw new TypeError(`scaling: expected a number, found ${scaling}`);
    if (wavelet !== null && (typeof wavelet !== "string" || wavelet === "")) check(3, options);
    const memory = new Memory(exports);
    this.#exports = exports;
    this.#memory = memory;
    this.#length = axis("outFeatures", outFeatures) * axis("inFeatures", inFeatures);
    // First, so that a layer too large for the memory is refused before anything is drawn.
    this.#weight = memory.take(4 * this.#length);
    this.#layer = memory.take(exports.layer_bytes(count) >>> 0);
    const behind = memory.end;

    const places = draw(exports, memory, { outFeatures, inFeatures, count, seed });
    const order = memory.take(4 * count);
    const coefficients = memory.take(4 * count);
    const text = new TextEncoder().encode(wavelet ?? "");
    const name = memory.take(text.length);
    memory.floats(coefficients, count).set(spectrum);
    new Uint8Array(memory.memory.buffer, name, text.length).set(text);
    const shape = [outFeatures, inFeatures, fanInFanOut ? 1 : 0];
    check(
      exports.layer_new(this.#layer, ...shape, name, text.length, scaling, places, coefficients, count, order),
      { ...options, count },
    );
    // Nothing but the layer is needed any more.
    memory.end = behind;
    this.#recordLength = exports.layer_undo_length(this.#layer) >>> 0;
    this.#record = memory.take(4 * this.#recordLength);
    this.shape = fanInFanOut ? [inFeatures, outFeatures] : [outFeatures, inFeatures];
  }

  delta() {
    const delta = new Float32Array(this.#length);
    this.add(delta);
    return delta;
  }

  add(weight) {
    const inside = this.#enter(weight);
    check(this.#exports.layer_add(this.#layer, this.#weight, this.#record));
    weight.set(inside);
    return this.#memory.floats(this.#record, this.#recordLength).slice();
  }

  undo(weight, record) {
    floats("record", record, this.#recordLength);
    const inside = this.#enter(weight);
    this.#memory.floats(this.#record, this.#recordLength).set(record);
    check(this.#exports.layer_undo(this.#layer, this.#weight, this.#record));
    weight.set(inside);
  }

  #enter(weight) {
    const inside = this.#memory.floats(this.#weight, this.#length);
    inside.set(floats("weight", weight, this.#length));
    return inside;
  }
}

/** The module, from which every layer gets an instance. */
class Waveft {
  #module;

  constructor(module) {
    this.#module = module;
  }

  async #instance() {
    return (await WebAssembly.instantiate(this.#module)).exports;
  }

  async locations({ seed = 777, ...options }) {
    const exports = await this.#instance();
    const memory = new Memory(exports);
    const places = draw(exports, memory, { ...options, seed });
    return new Uint32Array(memory.memory.buffer, places, 2 * options.count).slice();
  }

  async layer(options) {
    const defaults = { seed: 777, wavelet: "db1", scaling: 25, fanInFanOut: false };
    return new Layer(await this.#instance(), { ...defaults, ...options });
  }
}

export async function load(bytes) {
  return new Waveft(await WebAssembly.compile(bytes));
}

export function readConfig(text) {
  const config = JSON.parse(text);
  if (config.peft_type !== "WAVEFT") {
    throw new TypeError(`peft_type: expected "WAVEFT", found ${JSON.stringify(config.peft_type)}`);
  }
  const { use_idwt = true, wavelet_family = "db1", scaling = 25, fan_in_fan_out = false } = config;
  // Of 64 bits, which JSON.parse would round.
  const seed = BigInt(/"random_loc_seed"\s*:\s*(-?\d+)/.exec(text)?.[1] ?? 777);
  const wavelet = wavelet_family === "coif4" ? "peft-coif4" : wavelet_family;
  return { seed, wavelet: use_idwt ? wavelet : null, scaling, fanInFanOut: fan_in_fan_out };
}
