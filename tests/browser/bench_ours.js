// Our default model in a worker like the site's own, for a bench that takes turns: the message
// {device, batch, alone} makes a run, on one core if alone, {steps} trains so many and answers the
// milliseconds a step, and {figures} answers all that groundling.labs.bench finds, as JSON.
import createPyodideModule from "../build/pyodide/pyodide.asm.js";
import { loadPyodide } from "../build/pyodide/pyodide.js";
import * as plan from "./plan.js";
import { SecondCore } from "./secondCore.js";

const PYTHON = `
import time
import second_core
from groundling.labs import bench
from groundling.config import TrainConfig
from groundling.data import shakespeare
from groundling.devices.open import open_device
from groundling.runs.run import Run
from groundling.train import train

second_core.install()

def begin(name, batch, alone):
    global device, run
    device = open_device(name)
    if alone:
        device.second = None
    config = TrainConfig(batch_size=batch, eval_interval=10**6, eval_batches=1)
    run = Run(config, shakespeare(), device)

def window(steps):
    began = time.perf_counter()
    records = list(train(run, stop_at=run.iter + steps))
    return [1000 * (time.perf_counter() - began) / steps, records[-1].train, device.cores]

def figures(batch):
    return bench.dumps(bench.all_figures(device, shakespeare(), batch))
`;

async function boot() {
  const pyodide = await loadPyodide({
    createPyodideModule,
    env: { HOME: "/home/pyodide", GROUNDLING_DATA: "/app/data" },
  });
  pyodide.registerJsModule("groundling_js", { ...plan, SecondCore });
  for (const [name, folder] of [
    ["numpy.zip", "/app/lib"],
    ["groundling.zip", "/app"],
  ]) {
    const answer = await fetch(`../build/${name}`);
    pyodide.unpackArchive(await answer.arrayBuffer(), "zip", { extractDir: folder });
  }
  pyodide.FS.mkdirTree("/app/data");
  const corpus = await fetch("../build/data/tinyshakespeare.txt");
  pyodide.FS.writeFile("/app/data/tinyshakespeare.txt", new Uint8Array(await corpus.arrayBuffer()));
  pyodide.runPython(
    "import sys; sys.path[:0] = ['/app/py_src/browser', '/app/py_src', '/app/lib']",
  );
  pyodide.runPython(PYTHON);
  return pyodide.globals;
}

const booted = boot();

onmessage = async ({ data }) => {
  try {
    const python = await booted;
    const suspends = "Suspending" in WebAssembly;
    const call = (name, ...given) =>
      suspends ? python.get(name).callPromising(...given) : python.get(name)(...given);
    if (data.device) await call("begin", data.device, data.batch, data.alone);
    if (data.steps) {
      const [ms, loss, cores] = (await call("window", data.steps)).toJs();
      postMessage({ ms, loss, cores });
    } else {
      postMessage({ figures: data.figures ? await call("figures", data.batch) : "" });
    }
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
