// The gain and bias gradients of layernorm: dweight = sum over rows of dy * xhat, dbias = sum over
// rows of dy, with xhat = (x - mean) * rstd.
//   x, dy (rows, n_embd)   stats (rows, 2): mean and rstd   dweight, dbias (n_embd)
// 4 channels a workgroup. For each, 16 lanes each sum every sixteenth row, then lane 0 adds
// the sixteen partial sums in order. Each result is added to what is there if its `accumulate_...`
// is 1.
// grid: n_embd / 4

struct Params { rows: u32, n_embd: u32, accumulate_weight: u32, accumulate_bias: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> partial: array<vec2f, 64>;

@compute @workgroup_size(4, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let channel = group.x * 4u + lane.x;
  var sum = vec2f();
  if (channel < p.n_embd) {
    for (var row = lane.y; row < p.rows; row += 16u) {
      let i = row * p.n_embd + channel;
      sum += dy[i] * vec2f((x[i] - stats[2u * row]) * stats[2u * row + 1u], 1.0);
    }
  }
  partial[lane.y * 4u + lane.x] = sum;
  workgroupBarrier();
  if (lane.y != 0u || channel >= p.n_embd) { return; }
  sum = vec2f();
  for (var j = 0u; j < 16u; j++) { sum += partial[j * 4u + lane.x]; }
  if (p.accumulate_weight == 1u) { sum.x += dweight[channel]; }
  if (p.accumulate_bias == 1u) { sum.y += dbias[channel]; }
  dweight[channel] = sum.x;
  dbias[channel] = sum.y;
}
