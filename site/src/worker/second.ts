// A second core for half of each step: a worker that runs half.ts. It is started when it is first
// needed, and ended when it has had nothing to do for a while.

import { confined } from "../base/confined";
import { gather, PAGE, scatter, type Answer, type Job, type Order } from "./job";

const IDLE_MS = 2000;

let address = "";

/** Used by py_src/browser/second.py. */
export class Second {
  private worker: Worker | null = null;
  private job: Job | null = null; // that the worker has
  private number = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;
  private answer: Promise<Answer | null> = Promise.resolve(null);

  constructor(
    readonly module: WebAssembly.Module,
    readonly memory: WebAssembly.Memory,
  ) {}

  /** Sends a job with what it needs. Returns whether the worker was there, and need not start. */
  begin(job: Job): boolean {
    clearTimeout(this.idle);
    const wasThere = this.worker !== null;
    this.answer = this.send(job).catch(() => null);
    return wasThere;
  }

  private async send(job: Job): Promise<Answer | null> {
    this.worker ??= new Worker((address ||= confined("half.js")), { type: "module" });
    const worker = this.worker;
    const order: Order = {
      number: ++this.number,
      module: this.module,
      pages: this.memory.buffer.byteLength / PAGE,
      job: job === this.job ? null : job,
      bytes: gather(this.memory, job.needs),
    };
    worker.postMessage(order, [order.bytes.buffer]);
    this.job = job;
    return new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if (data.number === order.number) resolve(data); // else nobody has waited for it
      };
      worker.onerror = () => resolve(null);
    });
  }

  /** Waits so many milliseconds at most. Whether what the job leaves is in memory. */
  async wait(most: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, most, null)));
    const answer = await Promise.race([this.answer, late]);
    clearTimeout(timer);
    if (answer && this.job) {
      scatter(this.memory, this.job.leaves, answer.bytes);
      this.idle = setTimeout(() => this.end(), IDLE_MS);
    } else this.end();
    return answer !== null;
  }

  private end(): void {
    this.worker?.terminate();
    this.worker = this.job = null;
  }
}
