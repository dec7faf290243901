// Tensors of a safetensors file as Float32Array: F32, BF16 and F16 exactly, F64 rounded.

const readers = {
  F64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  F32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  BF16: { bytes: 2, read: (view, at) => bitsToFloat(view.getUint16(at, true) * 0x10000) },
  F16: { bytes: 2, read: (view, at) => halfToFloat(view.getUint16(at, true)) },
};

const scratch = new DataView(new ArrayBuffer(4));

function bitsToFloat(bits) {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** The file's tensors by name, each with its shape and, if it is of one of the types above, its values. */
export function readSafetensors(bytes) {
  const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
  const view = new DataView(buffer, byteOffset, byteLength);
  if (byteLength < 8) throw new RangeError(`safetensors: expected at least 8 bytes, found ${byteLength}`);
  const length = Number(view.getBigUint64(0, true));
  if (8 + length > byteLength) {
    throw new RangeError(`safetensors: expected a header of at most ${byteLength - 8} bytes, found ${length}`);
  }
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, byteOffset + 8, length)));
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const entries = shape.reduce((product, side) => product * side, 1);
    const [start, end] = data_offsets;
    const reader = readers[dtype];
    if (!(0 <= start && start <= end && 8 + length + end <= byteLength) || (reader && end - start !== entries * reader.bytes)) {
      throw new RangeError(`safetensors: expected ${dtype} ${shape} of ${name} in ${byteLength} bytes, found [${data_offsets}]`);
    }
    const at = (index) => 8 + length + start + index * reader.bytes;
    const values = reader && Float32Array.from({ length: entries }, (_, index) => reader.read(view, at(index)));
    tensors.set(name, { dtype, shape, values });
  }
  return tensors;
}
