// Reconstructs an adapter: ΔW of every module that it adapts, by name.
//
//     node reconstruct.mjs ADAPTER_FOLDER BASE.safetensors

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { readSafetensors } from "./safetensors.mjs";
import { load, readConfig } from "./waveft.mjs";

/** A layer for each spectrum of the adapter, with the name of its weight in the base, which knows the layers' shapes. */
export async function layers(folder, base) {
  const waveft = await load(await readFile(new URL("waveft.wasm", import.meta.url)));
  const config = readConfig(await readFile(`${folder}/adapter_config.json`, "utf8"));
  const adapter = readSafetensors(await readFile(`${folder}/adapter_model.safetensors`));
  const layers = new Map();
  for (const [key, { values }] of adapter) {
    const module = /^base_model\.model\.(.*)\.waveft_spectrum$/.exec(key)?.[1];
    if (module === undefined) continue;
    // A base that was saved without a task's head lacks the first part of the names that an adapter has under it: "bert.".
    const full = `${module}.weight`;
    const name = [full, full.slice(full.indexOf(".") + 1)].find((name) => base.has(name));
    if (name === undefined) throw new RangeError(`expected a base with ${full}, found none of this name`);
    const [rows, columns] = base.get(name).shape;
    const [outFeatures, inFeatures] = config.fanInFanOut ? [columns, rows] : [rows, columns];
    layers.set(name, await waveft.layer({ ...config, outFeatures, inFeatures, spectrum: values }));
  }
  return layers;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, file] = process.argv.slice(2);
  if (file === undefined) throw new Error("usage: node reconstruct.mjs ADAPTER_FOLDER BASE.safetensors");
  for (const [name, layer] of await layers(folder, readSafetensors(await readFile(file)))) {
    const largest = layer.delta().reduce((most, entry) => Math.max(most, Math.abs(entry)), 0);
    console.log(`${name} ${layer.shape.join(" × ")}: |ΔW| ≤ ${largest}`);
  }
}
