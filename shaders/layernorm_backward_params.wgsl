// The gain and bias gradients of layernorm: dweight = sum over rows of dy * xhat, dbias = sum over
// rows of dy, with xhat = (x - mean) * rstd.
//   x, dy (rows, n_embd)   mean, rstd (rows)   dweight, dbias (n_embd)
// A workgroup owns 16 channels; its 16 lanes a channel each sum every sixteenth row, then lane 0
// adds the sixteen partial sums in order. Each is added to what is there where its `accumulate_...`
// is 1.
// grid: n_embd / 16

struct Params { rows: u32, n_embd: u32, accumulate_weight: u32, accumulate_bias: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

var<workgroup> partial: array<vec2f, 256>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let channel = group.x * 16u + lane.x;
  var sum = vec2f();
  if (channel < p.n_embd) {
    for (var row = lane.y; row < p.rows; row += 16u) {
      let i = row * p.n_embd + channel;
      sum += dy[i] * vec2f((x[i] - mean[row]) * rstd[row], 1.0);
    }
  }
  partial[lane.y * 16u + lane.x] = sum;
  workgroupBarrier();
  if (lane.y != 0u || channel >= p.n_embd) { return; }
  sum = vec2f();
  for (var j = 0u; j < 16u; j++) { sum += partial[j * 16u + lane.x]; }
  if (p.accumulate_weight == 1u) { sum.x += dweight[channel]; }
  if (p.accumulate_bias == 1u) { sum.y += dbias[channel]; }
  dweight[channel] = sum.x;
  dbias[channel] = sum.y;
}
