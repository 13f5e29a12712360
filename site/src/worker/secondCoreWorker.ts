// The script of a second core: makes the calls of half a step, on a memory of its own that is laid out
// as Python's. Nothing else is there, no Python and no text.

import { gather, scatter, PAGE, type Job, type Order } from "./job";

type Kernels = Record<string, (...args: number[]) => void>;

let own: { memory: WebAssembly.Memory; kernels: Kernels } | null = null;
let job: Job;

onmessage = ({ data: order }: MessageEvent<Order>) => {
  if (!own) {
    const memory = new WebAssembly.Memory({ initial: order.pages });
    const { exports } = new WebAssembly.Instance(order.module, { env: { memory } });
    own = { memory, kernels: exports as Kernels };
  }
  const { memory, kernels } = own;
  const lacking = order.pages - memory.buffer.byteLength / PAGE;
  if (lacking > 0) memory.grow(lacking);
  job = order.job ?? job;
  scatter(memory, job.needs, order.bytes);
  for (const [name, ...args] of job.calls) kernels[name]!(...args);
  const left = gather(memory, job.leaves);
  postMessage(left, [left.buffer]);
};
