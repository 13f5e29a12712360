// Starts Pyodide in Node for ahead.py: node ahead.mjs PYODIDE NUMPY LIBRARY BYTECODE KERNELS. PYODIDE
// is its folder, NUMPY the wheel, LIBRARY the zip of our own files; the last two are made.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

async function make([folder, numpy, library, bytecode, kernels]) {
  const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
  const pyodide = await loadPyodide({
    indexURL: folder,
    env: { HOME: "/home/pyodide", PYTHONHASHSEED: "0" }, // so that it makes the same bytes each time
  });
  const unpack = (zip, extractDir) =>
    pyodide.unpackArchive(new Uint8Array(readFileSync(zip)), "zip", { extractDir });
  unpack(numpy, "/app/lib");
  unpack(library, "/app");
  pyodide.runPython(readFileSync(new URL("ahead.py", import.meta.url), "utf-8"));
  writeFileSync(bytecode, pyodide.globals.get("packed").toJs());
  writeFileSync(kernels, pyodide.globals.get("kernels"));
}

make(process.argv.slice(2).map((path) => resolve(path))).catch((error) => {
  console.error(String(error)); // and not the line of Pyodide that it came from, a megabyte long
  process.exitCode = 1;
});
