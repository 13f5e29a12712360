// Draws the next token and appends it: logits / temperature, then the top_k largest, then softmax,
// then the fewest largest whose probabilities reach top_p (at least one), then the first token, in
// vocabulary order, at which the cumulative probability passes u times the total of those kept.
//   logits (vocab_size)   uniforms (one for each token to draw): u in [0, 1)
//   settings (3): temperature, top_k, top_p
//   window (block_size): the context, oldest first; it slides by one when full
//   length (1): the tokens in it   out (as uniforms): the drawn tokens   count (1): how many so far
// Equal logits rank by token id, the lower first (a stable order). One workgroup: its 64 lanes rank
// the tokens, which takes vocab_size^2 comparisons, and lane 0 computes the sums, in one order.
// grid: 1

struct Params { block_size: u32 }

const VOCAB_SIZE: u32 = 65;  // set by the device from the call's vocab_size

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> uniforms: array<f32>;
@group(0) @binding(2) var<storage, read> settings: array<f32>;
@group(0) @binding(3) var<storage, read_write> window: array<u32>;
@group(0) @binding(4) var<storage, read_write> length: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<u32>;
@group(0) @binding(6) var<storage, read_write> count: array<u32>;
@group(0) @binding(7) var<uniform> p: Params;

var<workgroup> ranked: array<u32, VOCAB_SIZE>;  // tokens, the likeliest first
var<workgroup> prob: array<f32, VOCAB_SIZE>;  // by token; 0 where not kept

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var v = lane; v < VOCAB_SIZE; v += 64u) {
    var rank = 0u;
    for (var w = 0u; w < VOCAB_SIZE; w++) {
      if (logits[w] > logits[v] || (logits[w] == logits[v] && w < v)) { rank++; }
    }
    ranked[rank] = v;
  }
  workgroupBarrier();
  let highest = logits[ranked[0]];
  for (var v = lane; v < VOCAB_SIZE; v += 64u) {
    prob[v] = exp((logits[v] - highest) / settings[0]);
  }
  workgroupBarrier();
  if (lane != 0u) { return; }
  let top_k = min(u32(settings[1]), VOCAB_SIZE);
  var total = 0.0;
  for (var r = 0u; r < top_k; r++) { total += prob[ranked[r]]; }
  var kept = 0.0;
  for (var r = 0u; r < VOCAB_SIZE; r++) {
    let v = ranked[r];
    if (r < top_k && (r == 0u || kept < settings[2] * total)) {
      kept += prob[v];
    } else {
      prob[v] = 0.0;
    }
  }
  let threshold = uniforms[count[0]] * kept;
  var token = 0u;
  var sum = 0.0;
  for (var v = 0u; v < VOCAB_SIZE && sum <= threshold; v++) {
    if (prob[v] > 0.0) {
      token = v;
      sum += prob[v];
    }
  }
  out[count[0]] = token;
  count[0]++;
  if (length[0] < p.block_size) {
    window[length[0]] = token;
    length[0]++;
  } else {
    for (var t = 0u; t + 1u < p.block_size; t++) { window[t] = window[t + 1u]; }
    window[p.block_size - 1u] = token;
  }
}
