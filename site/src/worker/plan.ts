// A plan is a compute pass that was prepared once, to be sent at every step. The worker registers
// both functions in the Python module `groundling_js`; py_src/browser/plans.py calls them.

import type { PyProxy } from "pyodide/ffi";

/** Pipeline, bind group 0, and the workgroup counts x, y, z. */
export type Dispatch = [GPUComputePipeline, GPUBindGroup, number, number, number];

/** A word's buffer, and where in it, in bytes. */
export type Place = [GPUBuffer, number];

interface Prepared {
  pipeline: GPUComputePipeline | null; // null where the one before it is still set
  group: GPUBindGroup;
  x: number;
  y: number;
  z: number;
}

interface Plan {
  dispatches: Prepared[];
  upload: Upload | null;
}

/** Prepares the dispatches. */
export function makePlan(dispatches: Dispatch[]): Plan {
  const prepared = dispatches.map(([pipeline, group, x, y, z], i) => {
    const isSet = i > 0 && dispatches[i - 1]![0] === pipeline;
    return { pipeline: isSet ? null : pipeline, group, x, y, z };
  });
  return { dispatches: prepared, upload: null };
}

/** An array of Python's, seen as bytes where it lies in WebAssembly's memory. */
class Upload {
  private view: { data: Uint8Array<ArrayBuffer>; release(): void } | null = null;

  constructor(readonly array: PyProxy) {}

  get bytes(): Uint8Array<ArrayBuffer> {
    if (!this.view?.data.byteLength) {
      this.view?.release(); // the memory has grown, and views of what it was are empty
      this.view = this.array.getBuffer("u8");
    }
    return this.view!.data;
  }

  release(): void {
    this.view?.release();
    this.view = null;
  }
}

/** Lets go of the array that a plan uploads. */
export function dropPlan(plan: Plan): void {
  plan.upload?.release();
}

/** Sends one submit: writes the array to the start of the buffer, encodes the plan so many times and the
 * others after it in one compute pass, and copies a word from each place to the target, from byte `at`.
 */
export function runPlan(
  device: GPUDevice,
  plan: Plan,
  times: number,
  others: [Plan, number][] | null,
  buffer: GPUBuffer | null,
  array: PyProxy | null,
  places: Place[],
  target: GPUBuffer | null,
  at: number,
): void {
  if (buffer && array) {
    if (plan.upload?.array !== array) plan.upload = new Upload(array);
    device.queue.writeBuffer(buffer, 0, plan.upload.bytes);
  }
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encode(pass, plan, times);
  others?.forEach(([other, n]) => encode(pass, other, n));
  pass.end();
  places.forEach(([source, offset], i) =>
    encoder.copyBufferToBuffer(source, offset, target!, at + 4 * i, 4),
  );
  device.queue.submit([encoder.finish()]);
}

function encode(pass: GPUComputePassEncoder, plan: Plan, times: number): void {
  for (let i = 0; i < times; i++) {
    for (const { pipeline, group, x, y, z } of plan.dispatches) {
      if (pipeline) pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
    }
  }
}
