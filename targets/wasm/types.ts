// What the declarations allow and what they refuse; compiled, never run.

import { readSafetensors } from "./safetensors.mjs";
import { load, readConfig, type Layer } from "./waveft.mjs";

export async function uses(module: ArrayBuffer, config: string, adapter: Uint8Array): Promise<number> {
  const waveft = await load(module);
  const spectrum = readSafetensors(adapter).get("spectrum")?.values;
  // @ts-expect-error: it may be missing
  await waveft.layer({ outFeatures: 2, inFeatures: 2, spectrum });
  if (spectrum === undefined) return 0;
  const layer: Layer = await waveft.layer({ ...readConfig(config), outFeatures: 2, inFeatures: 2, spectrum });
  const record: Float32Array = layer.add(layer.delta());
  layer.undo(layer.delta(), record);
  // @ts-expect-error: not of doubles
  layer.add(new Float64Array(4));
  // @ts-expect-error: a shape is told
  layer.shape = [1, 2];
  // @ts-expect-error: the spectrum is missing
  await waveft.layer({ outFeatures: 2, inFeatures: 2 });
  await waveft.layer({ outFeatures: 2, inFeatures: 2, spectrum, wavelet: null, seed: -5n, scaling: 1, fanInFanOut: true });
  const places: Uint32Array = await waveft.locations({ outFeatures: 2, inFeatures: 2, count: 1 });
  const [rows, columns] = layer.shape;
  return rows * columns + places.length;
}
