// rng.sfc32 of the library, for the first weights of large models: the same words, much sooner.

/** The next n draws from a state of four words, and after them the state that follows. */
export function sfc32(a: number, b: number, c: number, counter: number, n: number): Uint32Array {
  const out = new Uint32Array(n + 4);
  for (let i = 0; i < n; i++) {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    out[i] = t;
  }
  out.set([a, b, c, counter], n);
  return out;
}
