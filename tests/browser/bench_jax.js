// The default model of @jax-js/jax, the fastest other trainer in a browser that we know of, on the
// device that the address names (#webgpu or #wasm): GPT-2's blocks, AdamW and all in one jit, which
// is its fastest way. `windowOf(n)` trains n steps and returns the milliseconds a step.

import * as jax from "@jax-js/jax";

const { nn, numpy: np, random } = jax;
const [LAYERS, HEADS, WIDTH, CONTEXT, VOCAB, BATCH] = [4, 4, 64, 64, 65, 16];
const [BETA1, BETA2, EPS, LR, DECAY] = [0.9, 0.95, 1e-8, 3e-4, 0.1];

/** Names and shapes, as py_src/groundling/model.py has them. */
function shapes() {
  const found = { wte: [VOCAB, WIDTH], wpe: [CONTEXT, WIDTH] };
  for (let i = 0; i < LAYERS; i++) {
    found[`${i}.ln1.g`] = found[`${i}.ln1.b`] = [WIDTH];
    found[`${i}.attn`] = [WIDTH, 3 * WIDTH];
    found[`${i}.proj`] = [WIDTH, WIDTH];
    found[`${i}.ln2.g`] = found[`${i}.ln2.b`] = [WIDTH];
    found[`${i}.fc`] = [WIDTH, 4 * WIDTH];
    found[`${i}.out`] = [4 * WIDTH, WIDTH];
  }
  return { ...found, "ln.g": [WIDTH], "ln.b": [WIDTH] };
}

function initial() {
  const table = shapes();
  const keys = random.split(random.key(1), Object.keys(table).length);
  const entries = Object.entries(table).map(([name, shape], i) => {
    if (name.endsWith(".g")) return [name, np.ones(shape)];
    if (name.endsWith(".b")) return [name, np.zeros(shape)];
    return [name, random.normal(keys.ref.slice(i), shape).mul(0.02)];
  });
  keys.dispose();
  return Object.fromEntries(entries);
}

const norm = (x, p, name) => nn.standardize(x, -1).mul(p[`${name}.g`].ref).add(p[`${name}.b`].ref);

function loss(p, tokens, targets) {
  let x = np.dot(nn.oneHot(tokens, VOCAB), p.wte.ref);
  x = x.reshape([BATCH, CONTEXT, WIDTH]).add(p.wpe.ref);
  for (let i = 0; i < LAYERS; i++) {
    const qkv = np.dot(norm(x.ref, p, `${i}.ln1`), p[`${i}.attn`].ref);
    const part = (k, last) =>
      (last ? qkv : qkv.ref)
        .slice([], [], [k * WIDTH, (k + 1) * WIDTH])
        .reshape([BATCH, CONTEXT, HEADS, WIDTH / HEADS]);
    const heads = nn.dotProductAttention(part(0), part(1), part(2, true), { isCausal: true });
    x = x.add(np.dot(heads.reshape([BATCH, CONTEXT, WIDTH]), p[`${i}.proj`].ref));
    const inner = nn.gelu(np.dot(norm(x.ref, p, `${i}.ln2`), p[`${i}.fc`].ref));
    x = x.add(np.dot(inner, p[`${i}.out`].ref));
  }
  const logits = np.dot(norm(x, p, "ln"), np.transpose(p.wte.ref));
  const logs = nn.logSoftmax(logits, -1).reshape([BATCH * CONTEXT, VOCAB]);
  jax.tree.dispose(p);
  return logs
    .mul(nn.oneHot(targets, VOCAB))
    .sum()
    .mul(-1 / (BATCH * CONTEXT));
}

const gradient = jax.valueAndGrad(loss);

const step = jax.jit((p, m, v, root1, root2, tokens, targets) => {
  const [value, g] = gradient(jax.tree.ref(p), tokens, targets);
  const [p2, m2, v2] = [{}, {}, {}];
  for (const name of Object.keys(p)) {
    m2[name] = m[name].mul(BETA1).add(g[name].ref.mul(1 - BETA1));
    v2[name] = v[name].mul(BETA2).add(np.square(g[name]).mul(1 - BETA2));
    const moved = m2[name].ref.mul(root1.ref).div(np.sqrt(v2[name].ref.mul(root2.ref)).add(EPS));
    p2[name] = p[name].mul(1 - LR * DECAY).sub(moved.mul(LR));
  }
  root1.dispose();
  root2.dispose();
  return [value, p2, m2, v2];
});

let state = null;
let t = 0;

/** Random tokens do: what is counted is time. The loss must fall all the same. */
function batch() {
  const draw = () => Int32Array.from({ length: BATCH * CONTEXT }, () => (Math.random() * 5) | 0);
  return [draw(), draw()].map((tokens) => np.array(tokens, { dtype: np.int32 }));
}

async function start() {
  const device = location.hash.slice(1);
  const devices = await jax.init();
  if (!devices.includes(device)) throw new Error(`jax-js has no ${device} here`);
  jax.defaultDevice(device);
  const p = initial();
  const zeros = () =>
    Object.fromEntries(Object.entries(shapes()).map(([name, shape]) => [name, np.zeros(shape)]));
  state = [p, zeros(), zeros()];
}

globalThis.windowOf = async (steps) => {
  if (!state) await start();
  const began = performance.now();
  let value = null;
  for (let i = 0; i < steps; i++) {
    t += 1;
    const [tokens, targets] = batch();
    const roots = [BETA1, BETA2].map((beta) => np.array(1 / (1 - beta ** t)));
    value?.dispose();
    [value, ...state] = step(...state, ...roots, tokens, targets);
  }
  const last = (await value.jsAsync()).valueOf();
  await jax.blockUntilReady(state[0]);
  return { ms: (performance.now() - began) / steps, loss: Number(last) };
};
