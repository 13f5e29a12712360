// A plan is a compute pass that was prepared once, to be encoded at every step. The worker
// registers both functions in the Python module `groundling_js`; py_src/browser/wgpu calls them.

/** Pipeline, bind group 0, and the workgroup counts x, y, z. */
export type Dispatch = [GPUComputePipeline, GPUBindGroup, number, number, number];

/** Prepares the dispatches. A pipeline is null where the one before it is still set. */
export function makePlan(dispatches: Dispatch[]) {
  return dispatches.map(([pipeline, group, x, y, z], i) => {
    const isSet = i > 0 && dispatches[i - 1]![0] === pipeline;
    return { pipeline: isSet ? null : pipeline, group, x, y, z };
  });
}

/** Encodes all dispatches of a plan as one compute pass. */
export function encodePlan(encoder: GPUCommandEncoder, plan: ReturnType<typeof makePlan>): void {
  const pass = encoder.beginComputePass();
  for (const { pipeline, group, x, y, z } of plan) {
    if (pipeline) pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
  }
  pass.end();
}
