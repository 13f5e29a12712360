// Runs pytest inside Pyodide, in a module worker laid out like the site's own: the same Pyodide, the
// same groundling.zip in /app, the same JavaScript module for plans. The message is pytest's
// arguments; the answers are {log}, {test, outcome, said} as each starts and ends, and at last
// {ended: pytest's exit code}.
import createPyodideModule from "../build/pyodide/pyodide.asm.js";
import { loadPyodide } from "../build/pyodide/pyodide.js";
import * as plan from "./plan.js";
import { SecondCore } from "./secondCore.js";

const log = (line) => postMessage({ log: line });

async function unpack(pyodide, url, folder) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  pyodide.unpackArchive(await answer.arrayBuffer(), "zip", { extractDir: folder });
}

async function run(args) {
  const pyodide = await loadPyodide({ createPyodideModule, stdout: log, stderr: log });
  pyodide.registerJsModule("groundling_js", { ...plan, SecondCore });
  await unpack(pyodide, "../build/numpy.zip", "/app/lib");
  await unpack(pyodide, "../build/groundling.zip", "/app");
  await unpack(pyodide, "tests.zip", "/app");
  await unpack(pyodide, "pytest.zip", "/pytest");
  pyodide.FS.mkdirTree("/app/data");
  const corpus = await fetch("../build/data/tinyshakespeare.txt");
  pyodide.FS.writeFile("/app/data/tinyshakespeare.txt", new Uint8Array(await corpus.arrayBuffer()));
  const path = pyodide.pyimport("sys").path;
  for (const folder of [
    "/app/py_src",
    "/app/py_src/browser",
    "/app/lib",
    "/pytest",
    "/app/tests/browser",
  ]) {
    path.append(folder);
  }
  // callPromising, so that the wgpu shim's synchronous calls can suspend.
  const main = pyodide.pyimport("pyodide_runner").main;
  return main.callPromising(args, (test, outcome, said) => postMessage({ test, outcome, said }));
}

onmessage = ({ data }) =>
  run(data).then(
    (code) => postMessage({ ended: code }),
    (error) => postMessage({ ended: `an error: ${error.stack ?? error}` }),
  );
