// Runs a program for wasm32-wasip1 in node, with this machine's files and environment: cargo's runner in scripts/targets.sh.

import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const args = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args, env: process.env, preopens: { "/": "/" }, returnOnExit: true });
// The standard library names these, and Debian's wasi-libc lacks them. There are no threads to be joined.
const env = { pthread_join: () => 58, pthread_detach: () => 58 };
const module = await WebAssembly.compile(await readFile(args[0]));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, { ...wasi.getImportObject(), env }));
