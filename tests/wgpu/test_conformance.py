"""The compute API of wgpu, as wgpu-py has it natively and as py_src/browser/wgpu has it in a page.

One file for both hosts: natively `import wgpu` is wgpu-py, in Chromium it is the shim. Errors in
encoding are raised by finish() natively and by the next wait in the page, so the tests of those
encode, submit and wait inside one `raises`. Native wgpu ends the process on a bad submit, so
bad submits are tested below "Beyond wgpu-py", with what only the shim has.
"""

import asyncio
import ctypes
import re

import numpy as np
import pytest
import wgpu

READ_WRITE = "STORAGE|COPY_SRC|COPY_DST"

DOUBLE = """
override plus: u32 = 1u;
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  data[id.x] = data[id.x] * 2u + plus;
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


@pytest.fixture(scope="module")
def adapter():
    return wgpu.gpu.request_adapter_sync(power_preference="high-performance")


@pytest.fixture(scope="module")
def device(adapter):
    return adapter.request_device_sync()


@pytest.fixture(scope="module")
def double(device):
    """A pipeline that makes each word x of its buffer 2x + 1."""
    return make_pipeline(device, DOUBLE)


def make_pipeline(device, code, **stage):
    module = device.create_shader_module(code=code)
    return device.create_compute_pipeline(layout="auto", compute={"module": module, **stage})


def make_buffer(device, values, usage=READ_WRITE):
    return device.create_buffer_with_data(data=np.array(values, np.uint32), usage=usage)


def bind(device, pipeline, resource):
    layout = pipeline.get_bind_group_layout(0)
    entries = [{"binding": 0, "resource": resource}]
    return device.create_bind_group(layout=layout, entries=entries)


def submit(device, encode):
    encoder = device.create_command_encoder()
    encode(encoder)
    device.queue.submit([encoder.finish()])


def submit_and_wait(device, encode):
    submit(device, encode)
    device.queue.read_buffer(make_buffer(device, [0]))


def dispatch(device, pipeline, group, *counts):
    def encode(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(*counts)
        compute_pass.end()

    return encode


def words(device, buffer, *range_):
    return np.frombuffer(device.queue.read_buffer(buffer, *range_), np.uint32).tolist()


# -- Adapter and device


def test_an_adapter_says_who_it_is(adapter):
    for key in ("vendor", "architecture", "device", "description", "adapter_type", "backend_type"):
        assert isinstance(adapter.info[key], str)
    assert adapter.info.vendor == adapter.info["vendor"]
    assert adapter.info.device and adapter.info.device in adapter.summary
    assert isinstance(adapter.info.is_fallback_adapter, bool)


def test_the_adapters_that_can_be_listed_include_one(adapter):
    assert wgpu.gpu.enumerate_adapters_sync()


def test_limits_are_integers_under_kebab_case_names(adapter):
    for name in (
        "max-bind-groups",
        "max-buffer-size",
        "max-compute-invocations-per-workgroup",
        "max-compute-workgroup-size-x",
        "max-compute-workgroups-per-dimension",
        "max-storage-buffer-binding-size",
        "max-storage-buffers-per-shader-stage",
        "max-texture-dimension-1d",
        "min-storage-buffer-offset-alignment",
    ):
        assert adapter.limits[name] > 0
        assert isinstance(adapter.limits[name], int)


def test_a_device_gets_all_the_limits_of_its_adapter_by_default(adapter, device):
    for name in ("max-buffer-size", "max-storage-buffer-binding-size", "max-bind-groups"):
        assert device.limits[name] == adapter.limits[name]


@pytest.mark.parametrize("name", ["max-bind-groups", "max_bind_groups", "maxBindGroups"])
def test_a_required_limit_may_be_named_in_three_styles(adapter, name):
    device = adapter.request_device_sync(required_limits={name: 3})
    assert 3 <= device.limits["max-bind-groups"] <= adapter.limits["max-bind-groups"]


def test_a_limit_beyond_the_adapter_is_refused(adapter):
    with pytest.raises(RuntimeError, match="(?i)request.device"):
        adapter.request_device_sync(required_limits={"max-bind-groups": 1_000_000})


def test_a_limit_that_does_not_exist_is_refused_by_name(adapter):
    with pytest.raises(KeyError, match="max-courage"):
        adapter.request_device_sync(required_limits={"max-courage": 1})


def test_features_are_names_and_a_device_has_those_it_required(adapter, device):
    assert all(isinstance(name, str) for name in adapter.features)
    if "timestamp-query" in adapter.features:
        assert "timestamp-query" not in device.features
        required = [wgpu.FeatureName.timestamp_query]
        assert "timestamp-query" in adapter.request_device_sync(required_features=required).features


def test_a_feature_that_does_not_exist_is_refused_by_name(adapter):
    with pytest.raises(KeyError, match="telepathy"):
        adapter.request_device_sync(required_features=["telepathy"])


def test_every_feature_that_the_adapter_lists_can_be_required_by_its_name(adapter):
    listed = sorted(adapter.features & set(wgpu.FeatureName))
    assert "float32-filterable" in listed  # has a digit, as shader-f16 has
    for name in listed:
        assert name in adapter.request_device_sync(required_features=[name]).features
    assert adapter.request_device_sync(required_features=set(listed)).features >= set(listed)


@pytest.mark.parametrize("name", ["float32_filterable", "Float32Filterable", "float32-Filterable"])
def test_a_required_feature_may_be_named_in_three_styles(adapter, name):
    device = adapter.request_device_sync(required_features=(name,))
    assert "float32-filterable" in device.features


def test_a_feature_that_the_adapter_lacks_is_refused(adapter):
    names = {"shader-f16", "texture-compression-astc", "texture-compression-etc2"}
    for name in names - adapter.features:
        with pytest.raises(RuntimeError, match="(?i)request.device"):
            adapter.request_device_sync(required_features=[name])
    assert names - adapter.features


def test_features_are_a_list_of_names(adapter):
    with pytest.raises(AssertionError):
        adapter.request_device_sync(required_features="float32-filterable")
    with pytest.raises(TypeError, match="must be given as str"):
        adapter.request_device_sync(required_features=[5])


def test_a_limit_is_a_whole_number(adapter):
    with pytest.raises(TypeError):
        adapter.request_device_sync(required_limits={"max-bind-groups": 4.0})


def test_a_device_knows_its_adapter_its_queue_and_its_label(adapter):
    device = adapter.request_device_sync(label="groundling")
    assert device.adapter is adapter
    assert device.adapter_info is adapter.info
    assert device.queue is device.queue
    assert device.label == "groundling"


def test_two_devices_of_one_adapter_do_not_share_their_work(adapter):
    devices = [adapter.request_device_sync() for _ in range(2)]
    buffers = [make_buffer(device, [0, 0]) for device in devices]
    for i, (device, buffer) in enumerate(zip(devices, buffers, strict=True)):
        device.queue.write_buffer(buffer, 0, np.array([i, i + 10], np.uint32))
    assert words(devices[1], buffers[1]) == [1, 11]
    assert words(devices[0], buffers[0]) == [0, 10]


# -- Enums, flags, structs


def test_flags_are_integers_and_can_be_iterated():
    assert wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST == 136
    assert list(wgpu.MapMode) == [1, 2]
    assert wgpu.ShaderStage["COMPUTE"] == 4


def test_enums_are_strings_and_say_what_they_contain():
    assert wgpu.BufferBindingType.read_only_storage == "read-only-storage"
    assert "storage" in wgpu.BufferBindingType
    assert "teapot" not in wgpu.BufferBindingType


def test_enums_cannot_be_changed():
    with pytest.raises(RuntimeError):
        wgpu.BufferUsage.STORAGE = 5


@pytest.mark.parametrize("usage", [136, "STORAGE|COPY_DST", " storage | copy_dst "])
def test_a_usage_may_be_an_integer_or_a_string(device, usage):
    assert device.create_buffer(size=4, usage=usage).usage == 136


@pytest.mark.parametrize("usage", ["", "STORAGE|TEAPOT"])
def test_a_usage_string_that_means_nothing_is_refused(device, usage):
    with pytest.raises(ValueError, match="Invalid flag value"):
        device.create_buffer(size=4, usage=usage)


def test_structs_do_what_dicts_do(device, double):
    buffer = make_buffer(device, [1, 2])
    entry = wgpu.BindGroupEntry(
        binding=0, resource=wgpu.BufferBinding(buffer=buffer, offset=0, size=8)
    )
    layout = double.get_bind_group_layout(0)
    group = device.create_bind_group(layout=layout, entries=[entry])
    submit(device, dispatch(device, double, group, 2))
    assert words(device, buffer) == [3, 5]


# -- Creating buffers


def test_a_new_buffer_is_zero_and_knows_itself(device):
    buffer = device.create_buffer(label="b", size=16, usage=READ_WRITE)
    assert (buffer.size, buffer.usage, buffer.label) == (16, 140, "b")
    assert buffer.map_state == "unmapped"
    assert words(device, buffer) == [0, 0, 0, 0]
    assert "GPUBuffer" in repr(buffer) and "b" in repr(buffer)


def test_every_object_has_its_own_uid(device):
    buffers = [device.create_buffer(size=4, usage=READ_WRITE) for _ in range(3)]
    assert len({buffer.uid for buffer in buffers}) == 3


def test_data_is_padded_with_zeros_to_four_bytes(device):
    buffer = device.create_buffer_with_data(data=b"abcdef", usage="COPY_SRC")
    assert buffer.size == 8
    assert device.queue.read_buffer(buffer).tobytes() == b"abcdef\0\0"


def test_data_may_have_any_type_and_shape(device):
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    buffer = device.create_buffer_with_data(data=data, usage="COPY_SRC")
    assert device.queue.read_buffer(buffer).cast("f").tolist() == [0, 1, 2, 3, 4, 5]


def test_empty_data_makes_no_buffer(device):
    with pytest.raises(ValueError, match="larger than zero"):
        device.create_buffer_with_data(data=b"", usage="COPY_SRC")


def test_arguments_are_given_by_keyword(device):
    with pytest.raises(TypeError):
        device.create_buffer(64, 8)


def test_a_negative_size_is_refused(device):
    with pytest.raises(OverflowError):
        device.create_buffer(size=-4, usage="STORAGE")


@pytest.mark.parametrize("size", [16.0, np.float64(16), np.int64(16), "16"])
def test_a_size_is_what_int_makes_of_it(device, size):
    assert device.create_buffer(size=size, usage="STORAGE").size == 16


@pytest.mark.parametrize(("size", "error"), [(-4.0, OverflowError), (float("nan"), ValueError)])
def test_a_size_that_is_no_size_is_refused(device, size, error):
    with pytest.raises(error):
        device.create_buffer(size=size, usage="STORAGE")


def test_offsets_and_sizes_are_what_int_makes_of_them(device):
    buffer, target = make_buffer(device, [1, 2, 3]), make_buffer(device, [0, 0, 0])
    device.queue.write_buffer(buffer, 4.0, np.array([7, 8], np.uint32), 4.0, 4.0)
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(buffer, 4.0, target, 0.0, 8.0))
    submit(device, lambda encoder: encoder.clear_buffer(buffer, 8.0, 4.0))
    assert words(device, buffer, 4) == [8, 0]
    assert words(device, target, 0.0, 8.0) == [8, 3]


def test_what_a_binding_spans_is_a_whole_number(device, double):
    buffer = make_buffer(device, [0])
    for resource in ({"buffer": buffer, "size": 4.0}, {"buffer": buffer, "offset": 0.5}):
        with pytest.raises(TypeError):
            bind(device, double, resource)
    with pytest.raises(TypeError):
        make_layout(device, min_binding_size=4.0)


def test_data_may_be_an_array_of_ctypes(device):
    data = (ctypes.c_int32 * 3)(1, 2, 3)
    buffer = device.create_buffer_with_data(data=data, usage=READ_WRITE)
    device.queue.write_buffer(buffer, 4, (ctypes.c_int32 * 1)(9))
    assert words(device, buffer) == [1, 9, 3]
    assert list(type(data).from_buffer(device.queue.read_buffer(buffer))) == [1, 9, 3]


def test_a_buffer_over_the_limit_raises_at_creation(device):
    with pytest.raises(wgpu.GPUValidationError):
        device.create_buffer(size=device.limits["max-buffer-size"] + 4, usage="STORAGE")


@pytest.mark.parametrize("usage", [0, "MAP_READ|STORAGE", "MAP_WRITE|COPY_DST"])
def test_a_usage_that_cannot_be_raises_at_creation(device, usage):
    with pytest.raises(wgpu.GPUValidationError):
        device.create_buffer(size=64, usage=usage)


def test_an_error_leaves_the_device_usable(device):
    for _ in range(3):
        with pytest.raises(wgpu.GPUValidationError):
            device.create_buffer(size=64, usage=0)
    assert words(device, make_buffer(device, [7])) == [7]


# -- queue.write_buffer and queue.read_buffer


def test_a_write_counts_both_offsets_and_the_size_in_bytes(device):
    buffer = make_buffer(device, [0] * 6)
    device.queue.write_buffer(buffer, 8, np.arange(10, 20, dtype=np.uint32), 4, 12)
    assert words(device, buffer) == [0, 0, 11, 12, 13, 0]


def test_a_write_takes_all_the_data_that_is_left_by_default(device):
    buffer = make_buffer(device, [0] * 4)
    device.queue.write_buffer(buffer, 4, np.arange(4, dtype=np.uint32), 8)
    assert words(device, buffer) == [0, 2, 3, 0]


def test_a_write_of_size_zero_is_one_of_everything(device):
    buffer = make_buffer(device, [0, 0])
    device.queue.write_buffer(buffer, 0, np.array([5, 6], np.uint32), 0, 0)
    assert words(device, buffer) == [5, 6]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.asarray, np.float32])
def test_a_write_takes_whatever_has_the_buffer_protocol(device, kind):
    buffer = make_buffer(device, [0])
    data = np.float32(1.5) if kind is np.float32 else kind(np.array([1.5], np.float32).tobytes())
    if kind is np.asarray:
        data = np.array([[1.5]], np.float32)
    device.queue.write_buffer(buffer, 0, data)
    assert device.queue.read_buffer(buffer).cast("f").tolist() == [1.5]


def test_data_may_change_as_soon_as_it_is_written(device):
    buffer, data = make_buffer(device, [0]), np.array([1], np.uint32)
    device.queue.write_buffer(buffer, 0, data)
    data[0] = 99
    assert words(device, buffer) == [1]


@pytest.mark.parametrize(
    ("buffer_offset", "data_offset", "size"),
    [(16, 0, 4), (-4, 0, 4), (8, 0, 12), (0, 16, 4), (0, -4, 4), (0, 8, 12), (0, 0, 20)],
)
def test_a_write_outside_the_buffer_or_the_data_is_refused(
    device, buffer_offset, data_offset, size
):
    buffer = make_buffer(device, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="Invalid"):
        data = np.zeros(4, np.uint32)
        device.queue.write_buffer(buffer, buffer_offset, data, data_offset, size)
    assert words(device, buffer) == [1, 2, 3, 4]


@pytest.mark.parametrize(("offset", "data"), [(2, b"abcd"), (0, b"abc"), (0, b"abcdef")])
def test_a_write_is_not_padded_and_has_to_be_in_whole_words(device, offset, data):
    with pytest.raises(wgpu.GPUValidationError):
        device.queue.write_buffer(make_buffer(device, [0] * 4), offset, data)


def test_empty_data_cannot_be_written(device):
    with pytest.raises(ValueError, match="Invalid"):
        device.queue.write_buffer(make_buffer(device, [0]), 0, b"")


def test_data_with_gaps_cannot_be_written(device):
    with pytest.raises((ValueError, BufferError)):
        data = np.arange(8, dtype=np.uint32)[::2]
        device.queue.write_buffer(make_buffer(device, [0] * 4), 0, data)


def test_a_list_cannot_be_written(device):
    with pytest.raises(TypeError):
        device.queue.write_buffer(make_buffer(device, [0]), 0, [1])


def test_a_buffer_without_copy_dst_cannot_be_written(device):
    buffer = device.create_buffer(size=4, usage="STORAGE|COPY_SRC")
    with pytest.raises(wgpu.GPUValidationError):
        device.queue.write_buffer(buffer, 0, b"abcd")


def test_a_read_takes_an_offset_and_a_size_in_bytes(device):
    buffer = make_buffer(device, [1, 2, 3, 4])
    assert words(device, buffer, 4, 8) == [2, 3]
    assert words(device, buffer, 4) == [2, 3, 4]
    assert words(device, buffer, 0, 0) == [1, 2, 3, 4]


def test_a_read_is_a_writable_memoryview_of_bytes(device):
    data = device.queue.read_buffer(make_buffer(device, [1, 2]))
    assert isinstance(data, memoryview)
    assert (data.format, data.nbytes, data.readonly) == ("B", 8, False)


@pytest.mark.parametrize(("offset", "size"), [(16, 4), (-4, 4), (8, 12), (2, 4), (0, 6)])
def test_a_read_outside_the_buffer_or_not_in_words_is_refused(device, offset, size):
    with pytest.raises(ValueError):  # noqa: PT011 the sentences differ
        device.queue.read_buffer(make_buffer(device, [1, 2, 3, 4]), offset, size)


def test_a_buffer_without_copy_src_cannot_be_read(device):
    with pytest.raises(wgpu.GPUValidationError):
        device.queue.read_buffer(device.create_buffer(size=4, usage="STORAGE"))


def test_large_buffers_come_back_whole(device):
    data = np.random.default_rng().integers(0, 2**32, 1 << 20, dtype=np.uint32)
    buffer = make_buffer(device, data)
    assert np.array_equal(np.frombuffer(device.queue.read_buffer(buffer), np.uint32), data)


# -- Mapping


def test_a_buffer_goes_from_unmapped_to_pending_to_mapped_and_back(device):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    states = [buffer.map_state]
    promise = buffer.map_async("READ")
    states.append(buffer.map_state)
    promise.sync_wait()
    states.append(buffer.map_state)
    buffer.unmap()
    states.append(buffer.map_state)
    assert states == ["unmapped", "pending", "mapped", "unmapped"]


def test_mapped_bytes_can_be_read_whole_and_in_part_again_and_again(device):
    source = make_buffer(device, [1, 2, 3, 4])
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(source, 0, buffer, 0, 16))
    buffer.map_sync(wgpu.MapMode.READ)
    everything = buffer.read_mapped()
    assert buffer.read_mapped(8).cast("I").tolist() == [3, 4]
    assert buffer.read_mapped(8, 4).cast("I").tolist() == [3]
    assert buffer.read_mapped(copy=False).readonly
    buffer.unmap()
    assert everything.cast("I").tolist() == [1, 2, 3, 4]


def test_a_part_can_be_mapped_and_offsets_still_count_from_the_start_of_the_buffer(device):
    source = make_buffer(device, [1, 2, 3, 4, 5, 6])
    buffer = device.create_buffer(size=24, usage="MAP_READ|COPY_DST")
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(source, 0, buffer, 0, 24))
    buffer.map_sync("READ", 8, 8)
    assert buffer.read_mapped().cast("I").tolist() == [3, 4]
    assert buffer.read_mapped(8, 4).cast("I").tolist() == [3]
    with pytest.raises(ValueError, match="range"):
        buffer.read_mapped(0, 8)
    buffer.unmap()


def test_what_is_written_to_a_mapped_buffer_is_there_when_it_is_unmapped(device):
    buffer = device.create_buffer(size=16, usage="MAP_WRITE|COPY_SRC")
    buffer.map_sync("WRITE")
    buffer.write_mapped(np.array([1], np.uint32))
    buffer.write_mapped(b"abcde", 8)
    buffer.unmap()
    assert device.queue.read_buffer(buffer).tobytes() == b"\1\0\0\0\0\0\0\0abcde\0\0\0"


def test_a_buffer_may_be_mapped_at_creation_to_be_written(device):
    buffer = device.create_buffer(size=8, usage="COPY_SRC", mapped_at_creation=True)
    assert buffer.map_state == "mapped"
    with pytest.raises(RuntimeError):
        buffer.read_mapped()
    buffer.write_mapped(np.array([8, 9], np.uint32))
    buffer.unmap()
    assert words(device, buffer) == [8, 9]


@pytest.mark.parametrize(("offset", "size"), [(4, 4), (0, 6), (0, 32), (-8, 8), (16, None)])
def test_a_range_that_cannot_be_mapped_is_refused(device, offset, size):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    with pytest.raises(ValueError, match="Mapped"):
        buffer.map_async("READ", offset, size)
    assert buffer.map_state == "unmapped"


def test_a_buffer_that_is_mapped_cannot_be_mapped_again(device):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    buffer.map_sync("READ")
    with pytest.raises(RuntimeError, match="unmapped"):
        buffer.map_sync("READ")
    assert buffer.read_mapped().nbytes == 16


def test_an_unmapped_buffer_is_not_to_be_read_written_or_unmapped(device):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    for call in (buffer.read_mapped, lambda: buffer.write_mapped(b"abcd"), buffer.unmap):
        with pytest.raises(RuntimeError, match="mapped"):
            call()


def test_a_buffer_mapped_to_be_read_is_not_to_be_written(device):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    buffer.map_sync("READ")
    with pytest.raises(RuntimeError, match="write|mode"):
        buffer.write_mapped(b"abcd")


@pytest.mark.parametrize(("usage", "mode"), [("STORAGE", "READ"), ("MAP_READ|COPY_DST", "WRITE")])
def test_mapping_needs_the_usage(device, usage, mode):
    with pytest.raises(wgpu.GPUValidationError):
        device.create_buffer(size=16, usage=usage).map_sync(mode)


def test_a_map_mode_that_does_not_exist_is_refused(device):
    with pytest.raises(ValueError, match="Invalid flag value"):
        device.create_buffer(size=16, usage="MAP_READ|COPY_DST").map_async("GLANCE")


# -- Copying and clearing


def test_a_copy_takes_offsets_and_a_size_in_bytes(device):
    source, target = make_buffer(device, [1, 2, 3, 4]), make_buffer(device, [0] * 4)
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(source, 4, target, 8, 8))
    assert words(device, target) == [0, 0, 2, 3]


@pytest.mark.parametrize(("start", "target", "size"), [(2, 0, 4), (0, 2, 4), (0, 0, 6)])
def test_a_copy_has_to_be_in_whole_words(device, start, target, size):
    a, b = make_buffer(device, [0] * 4), make_buffer(device, [0] * 4)
    with pytest.raises(ValueError, match="multiple of 4"):
        device.create_command_encoder().copy_buffer_to_buffer(a, start, b, target, size)


def test_only_buffers_can_be_copied(device):
    with pytest.raises(TypeError, match="GPUBuffer"):
        device.create_command_encoder().copy_buffer_to_buffer(
            b"abcd", 0, make_buffer(device, [0]), 0, 4
        )


@pytest.mark.parametrize(("start", "target", "size"), [(8, 0, 16), (0, 8, 16), (0, 0, 32)])
def test_a_copy_out_of_range_raises(device, start, target, size):
    a, b = make_buffer(device, [0] * 4), make_buffer(device, [0] * 4)
    with pytest.raises(wgpu.GPUValidationError):
        submit_and_wait(device, lambda e: e.copy_buffer_to_buffer(a, start, b, target, size))


def test_a_copy_needs_the_usages(device):
    a, b = make_buffer(device, [0]), device.create_buffer(size=4, usage="STORAGE")
    for source, target in ((a, b), (b, a)):
        with pytest.raises(wgpu.GPUValidationError):
            submit_and_wait(
                device,
                lambda e, s=source, t=target: e.copy_buffer_to_buffer(s, 0, t, 0, 4),
            )


def test_a_buffer_cannot_be_copied_onto_itself(device):
    a = make_buffer(device, [0] * 4)
    with pytest.raises(wgpu.GPUValidationError):
        submit_and_wait(device, lambda e: e.copy_buffer_to_buffer(a, 0, a, 8, 8))


@pytest.mark.parametrize(
    ("range_", "left"), [((), [0, 0, 0, 0]), ((8,), [1, 2, 0, 0]), ((4, 8), [1, 0, 0, 4])]
)
def test_a_range_is_cleared(device, range_, left):
    buffer = make_buffer(device, [1, 2, 3, 4])
    submit(device, lambda encoder: encoder.clear_buffer(buffer, *range_))
    assert words(device, buffer) == left


@pytest.mark.parametrize("range_", [(2,), (0, 6), (0, 0), (8, 16), (20,)])
def test_a_range_that_cannot_be_cleared_is_refused(device, range_):
    with pytest.raises(ValueError):  # noqa: PT011 the sentences differ
        device.create_command_encoder().clear_buffer(make_buffer(device, [1, 2, 3, 4]), *range_)


def test_clearing_needs_the_usage(device):
    buffer = device.create_buffer(size=4, usage="STORAGE")
    with pytest.raises(wgpu.GPUValidationError):
        submit_and_wait(device, lambda encoder: encoder.clear_buffer(buffer))


# -- Shaders and pipelines


def test_good_code_has_no_errors_in_its_compilation_info(device):
    module = device.create_shader_module(label="double", code=DOUBLE)
    info = module.get_compilation_info_sync()
    assert [message for message in info if message.type == "error"] == []
    assert module.get_compilation_info_async().sync_wait() == [] == list(info)


@pytest.mark.parametrize(
    ("code", "line", "column"),
    [
        ("fn f() {\n  let a = 1.0;\n  let b = nope;\n}", 3, 11),
        ("fn f() {\n  let = 3;\n}", 2, 7),
    ],
)
def test_bad_code_raises_at_creation_and_says_line_and_column(device, code, line, column):
    with pytest.raises(wgpu.GPUValidationError) as raised:
        device.create_shader_module(code=code)
    found = re.search(r":(\d+):(\d+)", raised.value.message)
    assert found and (int(found[1]), int(found[2])) == (line, column)


def test_code_is_a_string(device):
    with pytest.raises(TypeError, match="Shader code"):
        device.create_shader_module(code=5)


def test_a_module_with_one_entry_point_needs_not_name_it(device):
    assert make_pipeline(device, DOUBLE)
    assert make_pipeline(device, DOUBLE, entry_point="main")


def test_an_entry_point_that_is_not_there_raises_at_creation(device):
    with pytest.raises(wgpu.GPUValidationError):
        make_pipeline(device, DOUBLE, entry_point="mian")


def test_an_entry_point_that_is_not_there_raises_through_the_promise_too(device):
    module = device.create_shader_module(code=DOUBLE)
    with pytest.raises(wgpu.GPUValidationError):
        device.create_compute_pipeline_async(
            layout="auto", compute={"module": module, "entry_point": "mian"}
        ).sync_wait()


def test_a_workgroup_over_the_limit_raises_at_creation(device):
    x = device.limits["max-compute-workgroup-size-x"] + 1
    with pytest.raises(wgpu.GPUValidationError):
        make_pipeline(device, f"@compute @workgroup_size({x}) fn main() {{}}")


def test_constants_override_what_the_code_says(device):
    pipeline = make_pipeline(device, DOUBLE, constants={"plus": 5})
    buffer = make_buffer(device, [1, 2])
    submit(device, dispatch(device, pipeline, bind(device, pipeline, buffer), 2))
    assert words(device, buffer) == [7, 9]


def test_constants_with_a_number_are_overridden_by_it(device):
    ids = "@id(7) override n: f32 = 1; override is: bool = false;"
    code = f"""{ids} @group(0) @binding(0) var<storage, read_write> data: array<u32>;
        @compute @workgroup_size(1) fn main() {{ data[0] = u32(n); data[1] = u32(is); }}"""
    buffer = make_buffer(device, [0, 0])
    for constants, expected in (({}, [1, 0]), ({7: 23, "is": 5}, [23, 1])):
        pipeline = make_pipeline(device, code, constants=constants)
        submit(device, dispatch(device, pipeline, bind(device, pipeline, buffer), 1))
        assert words(device, buffer) == expected


def test_a_key_that_a_stage_has_not_is_refused(device):
    with pytest.raises(ValueError, match="Invalid keys in ProgrammableStage"):
        make_pipeline(device, DOUBLE, entrypoint="main")


def test_a_layout_is_an_object_or_the_word_auto(device):
    module = device.create_shader_module(code=DOUBLE)
    with pytest.raises(TypeError, match="layout"):
        device.create_compute_pipeline(layout="car", compute={"module": module})


def test_a_layout_without_the_binding_that_the_code_uses_raises(device):
    module = device.create_shader_module(code=DOUBLE)
    layout = device.create_pipeline_layout(bind_group_layouts=[])
    with pytest.raises(wgpu.GPUValidationError):
        device.create_compute_pipeline(layout=layout, compute={"module": module})


# -- Bind groups


def make_layout(device, **buffer):
    entry = {"binding": 0, "visibility": "COMPUTE", "buffer": {"type": "storage", **buffer}}
    return device.create_bind_group_layout(entries=[entry])


def test_an_explicit_layout_works_as_an_automatic_one_does(device):
    layout = make_layout(device)
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        compute={"module": device.create_shader_module(code=DOUBLE)},
    )
    buffer = make_buffer(device, [1, 2, 3])
    group = device.create_bind_group(layout=layout, entries=[{"binding": 0, "resource": buffer}])
    submit(device, dispatch(device, pipeline, group, 3))
    assert words(device, buffer) == [3, 5, 7]


def test_a_resource_may_be_a_buffer_or_a_part_of_one(device, double):
    step = device.limits["min-storage-buffer-offset-alignment"]
    buffer = make_buffer(device, range(3 * step // 4))
    for resource in (
        buffer,
        {"buffer": buffer, "offset": step, "size": step},
        {"buffer": buffer, "offset": 2 * step},
        {"buffer": buffer, "size": step},
    ):
        group = bind(device, double, resource)
        submit(device, dispatch(device, double, group, 1))
    first = words(device, buffer)[:: step // 4]
    assert first == [3, 2 * (step // 4) + 1, 2 * (2 * step // 4) + 1]


def test_a_binding_does_not_reach_beyond_its_size(device, double):
    buffer = make_buffer(device, [0] * 4)
    group = bind(device, double, {"buffer": buffer, "offset": 0, "size": 8})
    submit(device, dispatch(device, double, group, 4))
    assert words(device, buffer)[2:] == [0, 0]


def test_dynamic_offsets_are_in_bytes(device):
    step = device.limits["min-storage-buffer-offset-alignment"]
    layout = make_layout(device, has_dynamic_offset=True, min_binding_size=4)
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
        compute={"module": device.create_shader_module(code=DOUBLE)},
    )
    buffer = make_buffer(device, [0] * (3 * step // 4))
    resource = {"buffer": buffer, "offset": 0, "size": step}
    entries = [{"binding": 0, "resource": resource}]
    group = device.create_bind_group(layout=layout, entries=entries)

    def encode(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group, [step])
        compute_pass.dispatch_workgroups(1)
        compute_pass.set_bind_group(0, group, [7, 2 * step, 9], 1, 1)
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()

    submit(device, encode)
    assert words(device, buffer)[:: step // 4] == [0, 1, 1]


@pytest.mark.parametrize(
    "resource", [{"offset": 4}, {"offset": 0, "size": 128}, {"offset": 4096, "size": 4}]
)
def test_a_part_that_cannot_be_bound_raises_at_creation(device, double, resource):
    with pytest.raises(wgpu.GPUValidationError):
        bind(device, double, {"buffer": make_buffer(device, [0] * 16), **resource})


def test_a_bind_group_that_does_not_fit_its_layout_raises_at_creation(device, double):
    layout, buffer = double.get_bind_group_layout(0), make_buffer(device, [0])
    with pytest.raises(wgpu.GPUValidationError):
        device.create_bind_group(layout=layout, entries=[])
    with pytest.raises(wgpu.GPUValidationError):
        device.create_bind_group(layout=layout, entries=[{"binding": 3, "resource": buffer}])


def test_binding_needs_the_usage(device, double):
    with pytest.raises(wgpu.GPUValidationError):
        bind(device, double, device.create_buffer(size=64, usage="UNIFORM"))


def test_something_else_than_a_buffer_cannot_be_bound(device, double):
    with pytest.raises(TypeError, match="resource"):
        bind(device, double, 7)


def test_a_key_that_an_entry_has_not_is_refused(device, double):
    layout, buffer = double.get_bind_group_layout(0), make_buffer(device, [0])
    entry = {"binding": 0, "resource": buffer, "sauce": 1}
    with pytest.raises(ValueError, match="Invalid keys in BindGroupEntry"):
        device.create_bind_group(layout=layout, entries=[entry])
    entry = {"binding": 0, "visibility": "COMPUTE", "buffer": {}, "sauce": 1}
    with pytest.raises(ValueError, match="Invalid keys in BindGroupLayoutEntry"):
        device.create_bind_group_layout(entries=[entry])


def test_a_layout_entry_says_what_it_binds(device):
    with pytest.raises(ValueError, match="did not contain field 'buffer'"):
        device.create_bind_group_layout(entries=[{"binding": 0, "visibility": "COMPUTE"}])
    with pytest.raises(KeyError, match="BufferBindingType.teapot"):
        make_layout(device, type="teapot")


def test_a_binding_cannot_be_in_a_layout_twice(device):
    entry = {"binding": 0, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": "storage"}}
    with pytest.raises(wgpu.GPUValidationError):
        device.create_bind_group_layout(entries=[entry, entry])


def test_a_group_that_no_device_has_raises(double):
    with pytest.raises(wgpu.GPUValidationError):
        double.get_bind_group_layout(1000)


# -- Dispatching


def test_a_grid_has_all_its_workgroups_once(device):
    pipeline = make_pipeline(device, NUMBER)
    buffer = make_buffer(device, [0] * 64)
    group = bind(device, pipeline, buffer)
    submit(device, dispatch(device, pipeline, group, 2, 3, 5))
    assert words(device, buffer) == [*range(100, 130)] + [0] * 34


def test_an_empty_grid_does_nothing(device, double):
    buffer = make_buffer(device, [1])
    submit(device, dispatch(device, double, bind(device, double, buffer), 0))
    assert words(device, buffer) == [1]


def test_a_dispatch_sees_what_the_one_before_it_wrote(device, double):
    buffer = make_buffer(device, [1])
    group = bind(device, double, buffer)

    def encode(encoder):
        for _ in range(2):
            for _ in range(3):
                dispatch(device, double, group, 1)(encoder)
            compute_pass = encoder.begin_compute_pass()
            compute_pass.set_pipeline(double)
            compute_pass.set_bind_group(0, group)
            for _ in range(2):
                compute_pass.dispatch_workgroups(1)
            compute_pass.end()

    submit(device, encode)
    assert words(device, buffer) == [2**11 - 1]


def test_counts_may_come_from_a_buffer(device):
    pipeline = make_pipeline(device, NUMBER)
    buffer, counts = make_buffer(device, [0] * 6), make_buffer(device, [0, 2, 1, 2], "INDIRECT")
    group = bind(device, pipeline, buffer)

    def encode(encoder):
        compute_pass = encoder.begin_compute_pass(label="indirect")
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups_indirect(counts, 4)
        compute_pass.end()

    submit(device, encode)
    assert words(device, buffer) == [100, 101, 102, 103, 0, 0]


def test_a_grid_over_the_limit_raises(device, double):
    group = bind(device, double, make_buffer(device, [0]))
    count = device.limits["max-compute-workgroups-per-dimension"] + 1
    for counts in ((count, 1, 1), (1, count, 1), (1, 1, count)):
        with pytest.raises(wgpu.GPUValidationError):
            submit_and_wait(device, dispatch(device, double, group, *counts))


def test_counts_are_whole_and_not_negative(device, double):
    group = bind(device, double, make_buffer(device, [0]))
    with pytest.raises(OverflowError):
        submit(device, dispatch(device, double, group, -1))
    with pytest.raises(TypeError):
        submit(device, dispatch(device, double, group, 1.5))


def test_counts_may_be_numpy_integers(device):
    pipeline = make_pipeline(device, NUMBER)
    buffer = make_buffer(device, [0] * 4)
    group = bind(device, pipeline, buffer)
    submit(device, dispatch(device, pipeline, group, np.int64(2), np.uint32(2)))
    assert words(device, buffer) == [100, 101, 102, 103]


def test_a_dispatch_needs_a_pipeline_and_its_bind_group(device, double):
    def without_pipeline(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()

    def without_group(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(double)
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()

    for encode in (without_pipeline, without_group):
        with pytest.raises(wgpu.GPUValidationError):
            submit_and_wait(device, encode)


def test_a_pass_has_to_end_before_its_encoder_finishes(device):
    with pytest.raises(wgpu.GPUValidationError):
        submit_and_wait(device, lambda encoder: encoder.begin_compute_pass())


@pytest.fixture(scope="module")
def immediate(adapter):
    """A device, and a pipeline that stores its two immediates."""
    device = adapter.request_device_sync(required_features=["immediates"])
    assert "immediates" in device.features and device.limits["max-immediate-size"] >= 8
    layout = make_layout(device)
    code = """var<immediate> pair: vec2<u32>;
        @group(0) @binding(0) var<storage, read_write> data: array<u32>;
        @compute @workgroup_size(1) fn main() { data[0] = pair.x; data[1] = pair.y; }"""
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout], immediate_size=8),
        compute={"module": device.create_shader_module(code=code)},
    )
    return device, pipeline


def test_immediates_are_set_by_offsets_and_sizes_in_bytes(immediate):
    device, pipeline = immediate
    buffer, data = make_buffer(device, [0, 0]), np.array([10, 20, 30], np.uint32)

    def encode(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, bind(device, pipeline, buffer))
        compute_pass.set_immediates(0, data, 0, 8)
        compute_pass.set_immediates(4, data, 8, 4)
        data[:] = 0  # they are copied
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()

    submit(device, encode)
    assert words(device, buffer) == [10, 30]


@pytest.mark.parametrize("range_", [(0, 16), (12, 4), (4, 12), (0, -4), (-4, 4)])
def test_immediates_outside_their_data_are_refused(immediate, range_):
    device, _ = immediate
    compute_pass = device.create_command_encoder().begin_compute_pass()
    with pytest.raises(ValueError, match="data_"):
        compute_pass.set_immediates(0, np.zeros(3, np.uint32), *range_)
    compute_pass.end()


def test_immediates_are_in_whole_words(immediate):
    device, _ = immediate

    def encode(encoder):
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_immediates(0, b"abcd", 0, 3)
        compute_pass.end()

    with pytest.raises(wgpu.GPUValidationError):
        submit_and_wait(device, encode)


def test_debug_marks_change_nothing(device, double):
    buffer = make_buffer(device, [1])

    def encode(encoder):
        encoder.push_debug_group("group")
        encoder.insert_debug_marker("marker")
        dispatch(device, double, bind(device, double, buffer), 1)(encoder)
        encoder.pop_debug_group()

    submit(device, encode)
    assert words(device, buffer) == [3]


def test_timestamps_tell_when_a_pass_began_and_ended(adapter):
    if "timestamp-query" not in adapter.features:
        pytest.skip("this adapter has no timestamps")
    device = adapter.request_device_sync(required_features=["timestamp-query"])
    pipeline = make_pipeline(device, DOUBLE)
    group = bind(device, pipeline, make_buffer(device, [0] * 1000))
    queries = device.create_query_set(type="timestamp", count=2)
    assert (queries.type, queries.count) == ("timestamp", 2)
    times = device.create_buffer(size=16, usage="QUERY_RESOLVE|COPY_SRC")

    def encode(encoder):
        compute_pass = encoder.begin_compute_pass(
            timestamp_writes={
                "query_set": queries,
                "beginning_of_pass_write_index": 0,
                "end_of_pass_write_index": 1,
            }
        )
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(1000)
        compute_pass.end()
        encoder.resolve_query_set(queries, 0, 2, times, 0)

    submit(device, encode)
    began, ended = np.frombuffer(device.queue.read_buffer(times), np.uint64)
    assert 0 < began <= ended


def test_timestamps_need_their_feature(device):
    with pytest.raises((wgpu.GPUValidationError, RuntimeError)):
        device.create_query_set(type="timestamp", count=2)


# -- Order


def test_writes_and_submissions_take_effect_in_the_order_of_the_calls(device, double):
    buffer = make_buffer(device, [0, 0])
    encode = dispatch(device, double, bind(device, double, buffer), 2)
    device.queue.write_buffer(buffer, 0, np.array([1, 1], np.uint32))
    submit(device, encode)
    device.queue.write_buffer(buffer, 4, np.array([10], np.uint32))
    submit(device, encode)
    assert words(device, buffer) == [7, 21]


def test_a_write_comes_before_commands_that_were_encoded_before_it(device, double):
    buffer = make_buffer(device, [0])
    encoder = device.create_command_encoder()
    dispatch(device, double, bind(device, double, buffer), 1)(encoder)
    commands = encoder.finish()
    device.queue.write_buffer(buffer, 0, np.array([5], np.uint32))
    device.queue.submit([commands])
    assert words(device, buffer) == [11]


def test_two_series_of_writes_keep_their_order(device):
    a, b = make_buffer(device, [0]), make_buffer(device, [0])
    log = make_buffer(device, [0] * 16)
    for i in range(8):
        device.queue.write_buffer(a, 0, np.array([i], np.uint32))
        device.queue.write_buffer(b, 0, np.array([i + 100], np.uint32))

        def encode(encoder, i=i):
            encoder.copy_buffer_to_buffer(a, 0, log, 8 * i, 4)
            encoder.copy_buffer_to_buffer(b, 0, log, 8 * i + 4, 4)

        submit(device, encode)
    assert words(device, log) == [n for i in range(8) for n in (i, i + 100)]


def test_several_command_buffers_run_in_the_order_they_are_submitted(device, double):
    buffer = make_buffer(device, [1])
    group = bind(device, double, buffer)
    encoders = [device.create_command_encoder(label=str(i)) for i in range(2)]
    encoders[1].clear_buffer(buffer)
    dispatch(device, double, group, 1)(encoders[0])
    commands = [encoder.finish(label="commands") for encoder in encoders]
    device.queue.submit(commands[::-1])
    assert words(device, buffer) == [1]


def test_a_map_waits_for_the_work_that_was_submitted_before_it(device, double):
    buffer = make_buffer(device, [1])
    staging = device.create_buffer(size=4, usage="MAP_READ|COPY_DST")
    group = bind(device, double, buffer)

    def encode(encoder):
        for _ in range(20):
            dispatch(device, double, group, 1)(encoder)
        encoder.copy_buffer_to_buffer(buffer, 0, staging, 0, 4)

    submit(device, encode)
    staging.map_sync("READ")
    assert staging.read_mapped().cast("I").tolist() == [2**21 - 1]


# -- Promises


def test_promises_can_be_awaited():
    async def main():
        adapter = await wgpu.gpu.request_adapter_async()
        device = await adapter.request_device_async()
        module = device.create_shader_module(code=DOUBLE)
        pipeline = await device.create_compute_pipeline_async(
            layout="auto", compute={"module": module, "entry_point": "main"}
        )
        buffer = make_buffer(device, [4])
        staging = device.create_buffer(size=4, usage="MAP_READ|COPY_DST")
        submit(device, dispatch(device, pipeline, bind(device, pipeline, buffer), 1))
        submit(device, lambda e: e.copy_buffer_to_buffer(buffer, 0, staging, 0, 4))
        await staging.map_async("READ")
        return staging.read_mapped().cast("I").tolist()

    assert asyncio.run(main()) == [9]


def test_several_promises_can_be_awaited_at_once(device):
    async def main():
        buffers = [device.create_buffer(size=4, usage="MAP_READ|COPY_DST") for _ in range(3)]
        await asyncio.gather(*(buffer.map_async("READ") for buffer in buffers))
        return [buffer.map_state for buffer in buffers]

    assert asyncio.run(main()) == ["mapped"] * 3


def test_a_promise_can_be_waited_for_more_than_once(device):
    module = device.create_shader_module(code=DOUBLE)
    promise = device.create_compute_pipeline_async(layout="auto", compute={"module": module})
    assert promise.sync_wait() is promise.sync_wait()
    assert "fulfilled" in repr(promise)


def test_a_promise_raises_its_error_each_time(device):
    buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
    buffer.map_sync("READ")
    promise = buffer.map_async("READ")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="unmapped"):
            promise.sync_wait()


def test_an_awaited_promise_raises_its_error(device):
    async def main():
        buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
        await buffer.map_async("READ")
        await buffer.map_async("READ")

    with pytest.raises(RuntimeError, match="unmapped"):
        asyncio.run(main())


def test_callbacks_get_the_result_or_the_error(device):
    async def main():
        got = []
        buffer = device.create_buffer(size=16, usage="MAP_READ|COPY_DST")
        mapped = buffer.map_async("READ")
        doubled = mapped.then(lambda _: buffer.map_state)
        assert await doubled == "mapped"
        await buffer.map_async("READ").catch(lambda error: got.append(type(error)))
        return got

    assert asyncio.run(main()) == [RuntimeError]


def test_a_callback_may_return_a_promise_and_the_next_gets_what_comes_of_it(adapter):
    async def main():
        device = adapter.request_device_async()
        buffers = []

        def map_one(device):
            buffers.append(device.create_buffer(size=8, usage="MAP_READ|COPY_DST"))
            return buffers[0].map_async("READ")

        state = device.then(map_one).then(lambda nothing: (nothing, buffers[0].map_state))
        return await state

    assert asyncio.run(main()) == (None, "mapped")


def test_an_error_in_what_a_callback_returns_reaches_the_next(device):
    async def main():
        buffer = device.create_buffer(size=8, usage="MAP_READ|COPY_DST")
        again = buffer.map_async("READ").then(lambda _: buffer.map_async("READ"))
        await again.then(lambda _: None)

    with pytest.raises(RuntimeError, match="unmapped"):
        asyncio.run(main())


# -- Destroyed


def test_a_buffer_can_be_destroyed_twice(device):
    buffer = make_buffer(device, [1])
    buffer.destroy()
    buffer.destroy()


def test_a_destroyed_buffer_cannot_be_written_bound_or_mapped(device, double):
    buffer = make_buffer(device, [1])
    staging = device.create_buffer(size=4, usage="MAP_READ|COPY_DST")
    buffer.destroy()
    staging.destroy()
    for call in (
        lambda: device.queue.write_buffer(buffer, 0, b"abcd"),
        lambda: bind(device, double, buffer),
        lambda: staging.map_sync("READ"),
    ):
        with pytest.raises(wgpu.GPUValidationError, match="destroyed"):
            call()


def test_work_that_was_submitted_is_done_although_its_buffer_is_destroyed(device):
    source, target = make_buffer(device, [7]), make_buffer(device, [0])
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(source, 0, target, 0, 4))
    source.destroy()
    assert words(device, target) == [7]


@pytest.fixture
def lost(adapter):
    """A device that was destroyed, with what was made from it before."""
    device = adapter.request_device_sync()
    made = {
        "device": device,
        "buffer": make_buffer(device, [1]),
        "staging": device.create_buffer(size=4, usage="MAP_READ|COPY_DST"),
        "module": device.create_shader_module(code=DOUBLE),
        "encoder": device.create_command_encoder(),
    }
    device.destroy()
    return made


@pytest.mark.parametrize(
    "use",
    [
        lambda lost: lost["device"].create_buffer(size=4, usage="STORAGE"),
        lambda lost: lost["device"].create_shader_module(code=DOUBLE),
        lambda lost: lost["device"].create_compute_pipeline(
            layout="auto", compute={"module": lost["module"]}
        ),
        lambda lost: lost["device"].queue.write_buffer(lost["buffer"], 0, b"abcd"),
        lambda lost: lost["device"].queue.read_buffer(lost["buffer"]),
        lambda lost: lost["staging"].map_sync("READ"),
        lambda lost: lost["encoder"].finish(),
    ],
    ids=["buffer", "shader", "pipeline", "write", "read", "map", "finish"],
)
def test_a_lost_device_says_so_wherever_it_is_used(lost, use):
    with pytest.raises(wgpu.GPUValidationError, match="lost"):
        use(lost)


def test_a_device_can_be_destroyed_twice_and_another_takes_its_place(adapter, lost):
    lost["device"].destroy()
    device = adapter.request_device_sync()
    assert words(device, make_buffer(device, [3])) == [3]


# -- Beyond wgpu-py: what only the shim has

shim_only = pytest.mark.skipif(not hasattr(wgpu, "after_wait"), reason="only the shim has this")


@shim_only
def test_a_bad_submit_raises_at_the_next_wait_and_not_again(device):
    source, target = make_buffer(device, [7]), make_buffer(device, [1])
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, target, 0, 4)
    source.destroy()
    device.queue.submit([encoder.finish()])
    with pytest.raises(wgpu.GPUValidationError, match="destroyed"):
        device.queue.on_submitted_work_done_sync()
    assert words(device, target) == [1]


@shim_only
def test_a_hook_runs_after_each_wait_and_may_interrupt(device):
    waits = []
    wgpu.after_wait.append(lambda: waits.append(1))
    try:
        buffer = make_buffer(device, [1])
        before = len(waits)
        device.queue.read_buffer(buffer)
        assert len(waits) == before + 1

        def interrupt():
            raise KeyboardInterrupt

        wgpu.after_wait.append(interrupt)
        with pytest.raises(KeyboardInterrupt):
            device.queue.read_buffer(buffer)
    finally:
        wgpu.after_wait.clear()
    assert words(device, buffer) == [1]


@shim_only
def test_a_lost_device_calls_its_hook_once(adapter):
    device, told = adapter.request_device_sync(), []
    device.on_lost = told.append
    device.destroy()
    device.destroy()
    with pytest.raises(wgpu.GPUDeviceLostError) as raised:
        device.queue.on_submitted_work_done_sync()
    assert [info.reason for info in told] == ["destroyed"]
    assert raised.value.info is told[0]


@shim_only
def test_a_wait_that_is_under_way_raises_when_the_device_is_lost(adapter):
    device = adapter.request_device_sync()
    promise = device.create_buffer(size=4, usage="MAP_READ|COPY_DST").map_async("READ")
    device.destroy()
    with pytest.raises(wgpu.GPUDeviceLostError):
        promise.sync_wait()


@shim_only
def test_compilation_info_has_the_place_of_each_message(device):
    code = "@compute @workgroup_size(1)\nfn main() {\n  return;\n  var a = 1;\n}"
    messages = device.create_shader_module(code=code).get_compilation_info_sync().messages
    assert [(m.type, m.line_num, m.line_pos) for m in messages] == [("warning", 4, 3)]


@shim_only
def test_a_copy_takes_the_rest_of_its_source_by_default(device):
    source, target = make_buffer(device, [1, 2, 3]), make_buffer(device, [0] * 3)
    submit(device, lambda encoder: encoder.copy_buffer_to_buffer(source, 4, target, 0))
    assert words(device, target) == [2, 3, 0]


@shim_only
def test_what_draws_says_why_it_is_missing(adapter, device):
    encoder = device.create_command_encoder()
    for ask in (
        lambda: wgpu.TextureFormat.rgba8unorm,
        lambda: wgpu.gpu.get_canvas_context({}),
        lambda: device.create_texture(size=(4, 4), format="rgba8unorm", usage=4),
        lambda: device.create_render_pipeline_async(),
        lambda: encoder.begin_render_pass(),
        lambda: device.queue.write_texture({}, b"", {}, (1, 1)),
    ):
        with pytest.raises(AttributeError, match="compute only: no textures, samplers"):
            ask()
    for missing in (device, wgpu.gpu, wgpu, encoder):
        with pytest.raises(AttributeError, match="has no attribute 'teapot'$"):
            _ = missing.teapot
    entry = {"binding": 0, "visibility": "COMPUTE", "texture": {"sample_type": "float"}}
    with pytest.raises(ValueError, match="compute only"):
        device.create_bind_group_layout(entries=[entry])


@shim_only
def test_immediates_work_without_their_feature_where_the_browser_has_them(device):
    layout = device.create_pipeline_layout(bind_group_layouts=[], immediate_size=4)
    assert isinstance(layout, wgpu.GPUPipelineLayout)
