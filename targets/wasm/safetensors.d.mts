/** A tensor of a file. */
export interface Tensor {
  /** `"F32"`, `"BF16"`, `"I64"`, … as the file has it. */
  dtype: string;
  /** Outermost axis first. */
  shape: number[];
  /** Its numbers, row-major; only of F32, BF16, F16 and, rounded, F64. */
  values?: Float32Array;
}

/**
 * The tensors of a safetensors file by name.
 * @throws {RangeError} when a header or a tensor does not lie within the bytes.
 * @throws {SyntaxError} when the header is not JSON.
 */
export function readSafetensors(bytes: ArrayBuffer | Uint8Array): Map<string, Tensor>;
