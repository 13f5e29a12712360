"""A captured plan does what its dispatches do, natively and as the page runs it."""

import numpy as np
import wgpu

from groundling.devices.webgpu import plans

DOUBLE = """
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  data[id.x] = data[id.x] * 2u + 1u;
}
"""
NUMBER = """
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
  let i = (id.z * n.y + id.y) * n.x + id.x;
  data[i] = i + 100u;
}
"""


def test_plans_run_in_order_between_an_upload_and_a_copy_of_scalars():
    gpu = wgpu.gpu.request_adapter_sync().request_device_sync()

    def buffer(*values: int) -> wgpu.GPUBuffer:
        data = np.array(values, np.uint32)
        return gpu.create_buffer_with_data(data=data, usage="STORAGE | COPY_SRC | COPY_DST")

    def dispatch(code: str, target: wgpu.GPUBuffer, *grid: int) -> plans.Dispatch:
        module = gpu.create_shader_module(code=code)
        pipeline = gpu.create_compute_pipeline(layout="auto", compute={"module": module})
        entries = [{"binding": 0, "resource": target}]
        layout = pipeline.get_bind_group_layout(0)
        return pipeline, gpu.create_bind_group(layout=layout, entries=entries), *grid

    def words(source: wgpu.GPUBuffer) -> list[int]:
        return np.frombuffer(gpu.queue.read_buffer(source), np.uint32).tolist()

    a, b, out = buffer(9, 9), buffer(*[0] * 6), buffer(7, 7, 7)
    both, one, number = (
        dispatch(*call)
        for call in ((DOUBLE, a, 2, 1, 1), (DOUBLE, a, 1, 1, 1), (NUMBER, b, 2, 1, 2))
    )
    plan, after = plans.make_plan([both, one, number, both]), plans.make_plan([one])
    given = np.array([1, 2], np.uint32)
    assert plans.run_plan(gpu, [(plan, 1)], (a, given), [], None, 0) >= 0
    plans.run_plan(gpu, [(plan, 1), (after, 3)], None, [(a, 4), (b, 8)], out, 4)
    assert words(a) == [1023, 47]  # n times 2x + 1 is 2**n * (x + 1) - 1
    assert words(b) == [100, 101, 102, 103, 0, 0]
    assert words(out) == [7, 47, 102]
    given[:] = 0
    plans.run_plan(gpu, [(plan, 2)], (a, given), [], None, 0)
    assert words(a) == [63, 15]
