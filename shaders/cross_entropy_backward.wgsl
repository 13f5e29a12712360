// dlogits[i][v] = (softmax(logits[i])[v] - (1 - s) (v == targets[i]) - s / vocab_size) dloss / rows,
// for the mean loss over rows, with label smoothing s.
//   logits, dlogits (rows, vocab_size)   targets (rows)   lse (rows), from cross_entropy
//   dloss (1)
// One element an invocation. Added to dlogits if `accumulate` is 1.
// grid: rows * vocab_size / 64

struct Params { rows: u32, vocab_size: u32, label_smoothing: f32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> lse: array<f32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.rows * p.vocab_size) { return; }
  let row = i / p.vocab_size;
  var d = exp(logits[i] - lse[row]);
  if (i % p.vocab_size == targets[row]) { d -= 1.0 - p.label_smoothing; }
  d -= p.label_smoothing / f32(p.vocab_size);
  d *= dloss[0] / f32(p.rows);
  if (p.accumulate == 1u) { d += dlogits[i]; }
  dlogits[i] = d;
}
