// losses[i] = lse[i] - logits[i][targets[i]], with lse[i] = log(sum over v of exp(logits[i][v])),
// in nats.
//   logits (rows, vocab_size)   targets (rows)   losses, lse (rows)
// With label smoothing s (Szegedy et al. 2016, as in PyTorch) the target weighs 1 - s, and each
// token of the vocabulary has s / vocab_size more. The row's maximum is subtracted first.
// One row an invocation.
// grid: rows / 64

struct Params { rows: u32, vocab_size: u32, label_smoothing: f32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= p.rows) { return; }
  let start = row * p.vocab_size;
  var highest = logits[start];
  for (var v = 1u; v < p.vocab_size; v++) { highest = max(highest, logits[start + v]); }
  var total = 0.0;
  for (var v = 0u; v < p.vocab_size; v++) { total += exp(logits[start + v] - highest); }
  let log_total = highest + log(total);
  let target_id = min(targets[row], p.vocab_size - 1u);
  var loss = log_total - logits[start + target_id];
  if (p.label_smoothing > 0.0) {
    var uniform_loss = 0.0;
    for (var v = 0u; v < p.vocab_size; v++) { uniform_loss += log_total - logits[start + v]; }
    loss = mix(loss, uniform_loss / f32(p.vocab_size), p.label_smoothing);
  }
  losses[row] = loss;
  lse[row] = log_total;
}
