// losses[i] = lse[i] - logits[i][targets[i]], with lse[i] = log(sum over v of exp(logits[i][v])),
// in nats.
//   logits (rows, vocab_size)   targets (rows)   losses, lse (rows)
// The row's maximum is taken out before the exponentials. One row an invocation.
// grid: rows / 64

struct Params { rows: u32, vocab_size: u32 }

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
  losses[row] = log_total - logits[start + target_id];
  lse[row] = log_total;
}
