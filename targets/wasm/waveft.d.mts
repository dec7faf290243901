/** How a layer's update is made, as an adapter's configuration says it; what is left out is PEFT's default. */
export interface Config {
  /** Of the places: an integer of 64 bits, below zero its two's complement. 777. */
  seed?: number | bigint;
  /** A discrete wavelet of PyWavelets, or `"peft-coif4"`, what PEFT takes for coif4; `null` is `use_idwt = false`. `"db1"`. */
  wavelet?: string | null;
  /** What ΔW is multiplied with. 25. */
  scaling?: number;
  /** Whether the weight is stored inputs × outputs. `false`. */
  fanInFanOut?: boolean;
}

export interface LayerOptions extends Config {
  /** Rows of ΔW, unless `fanInFanOut`. */
  outFeatures: number;
  /** Columns of ΔW, unless `fanInFanOut`. */
  inFeatures: number;
  /** The trained coefficients in the file's order. */
  spectrum: Float32Array;
}

export interface LocationOptions {
  outFeatures: number;
  inFeatures: number;
  /** 1 to `outFeatures · inFeatures`. */
  count: number;
  /** 777. */
  seed?: number | bigint;
}

/** One layer's update, `ΔW = scaling · R · S · Cᵀ`, in a memory of its own: `O(n · L² + rows · columns)` a call. */
export interface Layer {
  /** Rows and columns of ΔW as the weight is stored. */
  readonly shape: [rows: number, columns: number];
  /** ΔW, row-major. */
  delta(): Float32Array;
  /**
   * `weight += ΔW`, row-major, as PEFT merges. Returns a record of what it overwrote.
   * @throws {TypeError} unless the weight is a Float32Array.
   * @throws {RangeError} unless it has `rows · columns` elements.
   */
  add(weight: Float32Array): Float32Array;
  /** Puts back every bit that an `add` overwrote, given its record; several are undone last first. Throws as `add` does. */
  undo(weight: Float32Array, record: Float32Array): void;
}

export interface Waveft {
  /**
   * A layer, ready to be reconstructed.
   * @throws {TypeError} for a value of another type.
   * @throws {RangeError} for an axis, a wavelet or a number of coefficients that cannot be, and beyond 4 GiB of memory.
   */
  layer(options: LayerOptions): Promise<Layer>;
  /** PEFT's places, row and column in turns. Throws as `layer` does. */
  locations(options: LocationOptions): Promise<Uint32Array>;
}

/**
 * Compiles the bytes of `waveft.wasm`.
 * @throws {WebAssembly.CompileError} for other bytes.
 */
export function load(bytes: ArrayBuffer | Uint8Array): Promise<Waveft>;

/**
 * What a layer takes of the text of an `adapter_config.json`.
 * @throws {SyntaxError} unless it is JSON.
 * @throws {TypeError} unless it is of a WaveFT adapter.
 */
export function readConfig(text: string): Required<Config>;
