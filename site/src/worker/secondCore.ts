// A second core for half of each step: a worker that runs secondCoreWorker.ts. It is started when it
// is first needed, and ended when it has had nothing to do for a while.

import { confined } from "../base/confined";
import { gather, PAGE, scatter, type Job, type Order } from "./job";

const IDLE_MS = 2000;

let address = "";

type Left = Uint8Array; // what the job leaves

/** Used by py_src/browser/second_core.py. */
export class SecondCore {
  /** Whether it has nothing to do. It is not free before a late answer, nor ever after it died. */
  free = true;
  private worker: Worker | null = null;
  private job: Job | null = null; // the last one
  private idle: ReturnType<typeof setTimeout> | undefined;
  private answer: Promise<Left | null> = Promise.resolve(null);

  constructor(
    readonly module: WebAssembly.Module,
    readonly memory: WebAssembly.Memory,
  ) {}

  /** Sends a job with what it needs. Returns whether the worker was there, and need not start. */
  begin(job: Job): boolean {
    clearTimeout(this.idle);
    const wasThere = this.worker !== null;
    this.free = false;
    this.answer = this.send(job).then(
      (left) => {
        this.free = true;
        this.idle = setTimeout(() => this.end(), IDLE_MS);
        return left;
      },
      () => {
        this.end();
        return null;
      },
    );
    return wasThere;
  }

  private async send(job: Job): Promise<Left> {
    const isKnown = this.worker !== null && job === this.job;
    const worker = (this.worker ??= new Worker((address ||= confined("secondCoreWorker.js")), {
      type: "module",
    }));
    this.job = job;
    const order: Order = {
      module: this.module,
      pages: this.memory.buffer.byteLength / PAGE,
      job: isKnown ? null : job,
      bytes: gather(this.memory, job.needs),
    };
    worker.postMessage(order, [order.bytes.buffer]);
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Left>) => resolve(data);
      worker.onerror = reject;
    });
  }

  /** Waits so many milliseconds at most. Whether what the job leaves is in memory. */
  async wait(most: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, most, null)));
    const left = await Promise.race([this.answer, late]);
    clearTimeout(timer);
    if (left) scatter(this.memory, this.job!.leaves, left);
    return left !== null;
  }

  private end(): void {
    this.worker?.terminate();
    this.worker = null;
  }
}
