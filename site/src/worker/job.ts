// What a second core is sent and sends back: numbers, by the ranges of memory that they are in.

/** The ranges of memory are addresses, in turn where one begins and where it ends. */
export interface Job {
  calls: [string, ...number[]][];
  needs: number[];
  leaves: number[];
}

export const PAGE = 65_536; // bytes, in which a memory grows

export interface Order {
  module: WebAssembly.Module;
  /** Of memory. */
  pages: number;
  /** What is to be done, if it is another job than before. */
  job: Job | null;
  /** What it needs. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** What is in ranges of memory, one after the other. */
export function gather(memory: WebAssembly.Memory, ranges: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ranges.reduce((sum, at, i) => sum + (i % 2 ? at : -at), 0));
  each(memory, ranges, bytes, (there, here) => here.set(there));
  return bytes;
}

/** Puts there what `gather` returned. */
export function scatter(memory: WebAssembly.Memory, ranges: number[], bytes: Uint8Array): void {
  each(memory, ranges, bytes, (there, here) => there.set(here));
}

function each(
  memory: WebAssembly.Memory,
  ranges: number[],
  bytes: Uint8Array,
  move: (there: Uint8Array, here: Uint8Array) => void,
): void {
  for (let i = 0, at = 0; i < ranges.length; i += 2) {
    const size = ranges[i + 1]! - ranges[i]!;
    move(new Uint8Array(memory.buffer, ranges[i], size), bytes.subarray(at, at + size));
    at += size;
  }
}
