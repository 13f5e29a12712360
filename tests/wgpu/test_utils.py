"""wgpu-py's helpers: `wgpu.utils`, `wgpu.logger`, `wgpu.diagnostics`. They run in both hosts.

The first two tests do what wgpu-py's own examples compute_noop and compute_matmul do.
"""

import ctypes
import logging
import random

import numpy as np
import pytest
import wgpu
from wgpu.utils.compute import compute_with_buffers
from wgpu.utils.device import DefaultDeviceHelper

COPY = """
@group(0) @binding(0) var<storage, read> a: array<i32>;
@group(0) @binding(1) var<storage, read_write> b: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) at: vec3<u32>) { b[at.x] = a[at.x]; }
"""

COUNT = """
@group(0) @binding(0) var<storage, read_write> a: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) at: vec3<u32>) { a[at.x] = i32(at.x); }
"""

DOUBLE = """
override by: i32 = 2;
@group(0) @binding(0) var<storage, read_write> a: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) at: vec3<u32>) { a[at.x] *= by; }
"""

MATMUL = """
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<storage, read> shape: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
  var sum = 0.0;
  for (var i = 0u; i < shape[1]; i++) {
    sum += a[at.y * shape[1] + i] * b[i * shape[2] + at.x];
  }
  c[at.y * shape[2] + at.x] = sum;
}
"""


# -- compute_with_buffers


def test_a_shader_copies_a_memoryview():
    data = memoryview(np.array([random.randrange(100) for _ in range(20)], np.int32))
    out = compute_with_buffers({0: data}, {1: (20, "i")}, COPY, n=20)
    assert list(out) == [1]
    assert isinstance(out[1], memoryview)
    assert out[1].tolist() == data.tolist()


def test_a_shader_multiplies_matrices_of_numpy():
    m, k, n = (random.randint(2, 9) for _ in range(3))
    a, b = np.random.rand(m, k).astype(np.float32), np.random.rand(k, n).astype(np.float32)
    inputs = {0: a, 1: b, 3: np.array([m, k, n], np.uint32)}
    out = compute_with_buffers(
        input_arrays=inputs, output_arrays={2: (m, n, "f")}, shader=MATMUL, n=(n, m, 1)
    )
    assert np.allclose(a @ b, np.array(out[2].tolist()))  # float32 sums of at most 9


@pytest.mark.parametrize("output", [(12, "i"), "12xi", (3, 4, "i"), 48, ctypes.c_int32 * 12])
def test_an_output_may_be_described_in_four_ways(output):
    n = 12 if output == 48 or output == (3, 4, "i") else None
    out = compute_with_buffers({}, {0: output}, COUNT, n=n)[0]
    if isinstance(output, type):
        assert isinstance(out, output)
    elif isinstance(output, tuple):
        assert out.shape == output[:-1]
    assert np.frombuffer(out, np.int32).tolist() == list(range(12))


def test_what_goes_in_may_come_out_of_the_same_buffer():
    data = (ctypes.c_int32 * 5)(*range(5))
    out = compute_with_buffers({0: data}, {0: ctypes.c_int32 * 5}, DOUBLE)
    assert list(out[0]) == [0, 2, 4, 6, 8]
    assert list(data) == [0, 1, 2, 3, 4]


def test_constants_are_overridden():
    data = np.arange(3, dtype=np.int32)
    out = compute_with_buffers({0: data}, {0: (3, "i")}, DOUBLE, constants={"by": 7})
    assert out[0].tolist() == [0, 7, 14]


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (TypeError, {"input_arrays": [b"abcd"]}),
        (TypeError, {"input_arrays": {"0": b"abcd"}}),
        (TypeError, {"input_arrays": {0: [1, 2]}}),
        (TypeError, {"output_arrays": {}}),
        (TypeError, {"output_arrays": [4]}),
        (TypeError, {"output_arrays": {"1": 4}}),
        (TypeError, {"output_arrays": {1: "foobar"}}),
        (TypeError, {"output_arrays": {1: 4.0}}),
        (ValueError, {"output_arrays": {1: "10xfoo"}}),
        (ValueError, {"output_arrays": {1: ("i",)}}),
        (ValueError, {"output_arrays": {1: (0, "i")}}),
        (ValueError, {"output_arrays": {1: (-1, "i")}}),
        (TypeError, {"n": "1"}),
        (TypeError, {"n": (1, 1)}),
        (ValueError, {"n": -1}),
        (ValueError, {"n": 0}),
        (TypeError, {"shader": {"not", "a", "shader"}}),
        (wgpu.GPUValidationError, {"shader": COUNT.replace("main", "other")}),
    ],
)
def test_arguments_that_cannot_be_are_refused(error, changed):
    good = {"input_arrays": {0: b"abcd"}, "output_arrays": {1: 4}, "shader": COPY, "n": 1}
    assert compute_with_buffers(**good)[1] == b"abcd"
    with pytest.raises(error):
        compute_with_buffers(**(good | changed))


# -- The default device


def test_the_default_device_is_one():
    device = wgpu.get_default_device()
    assert isinstance(device, wgpu.GPUDevice)
    assert wgpu.utils.get_default_device() is device


def test_a_default_device_has_what_its_callers_asked_for():
    helper = DefaultDeviceHelper()
    helper.preconfigure_default_device("a", label="one", required_limits={"max-bind-groups": 4})
    helper.preconfigure_default_device(
        "b",
        label="two",
        required_features=["float32-filterable"],
        preferred_features={"not-a-feature", "timestamp-query"},
        required_limits={"max-bind-groups": 3},
    )
    device = helper.get_default_device()
    assert helper.get_default_device() is device
    assert device.label == "two"
    assert "float32-filterable" in device.features and "not-a-feature" not in device.features
    assert ("timestamp-query" in device.features) == ("timestamp-query" in device.adapter.features)
    assert device.limits["max-bind-groups"] in (3, 4)  # a browser gives no less than 4
    with pytest.raises(RuntimeError, match="after it is"):
        helper.preconfigure_default_device("late", label="three")


def test_what_was_asked_of_a_default_device_can_be_taken_back(caplog):
    helper = DefaultDeviceHelper()
    helper.preconfigure_default_device("a", required_features={"float32-filterable"})
    helper.preconfigure_default_device("b", required_features={"!float32-filterable"})
    assert "removes earlier set {'float32-filterable'}" in caplog.records[-1].message
    helper.preconfigure_default_device("a", required_limits={"max-bind-groups": 1})
    helper.preconfigure_default_device("b", required_limits={"max-bind-groups": None})
    assert "removes earlier set {'max-bind-groups'}" in caplog.records[-1].message
    device = helper.get_default_device()
    assert "float32-filterable" not in device.features
    assert device.limits["max-bind-groups"] > 1


def test_an_adapter_that_is_given_is_taken(caplog):
    adapter, helper = wgpu.gpu.request_adapter_sync(), DefaultDeviceHelper()
    helper.preconfigure_default_device("a", power_preference="low-power")
    assert not caplog.records
    helper.preconfigure_default_device("b", adapter=adapter)
    assert "overrides power_preference='low-power' set by 'a'" in caplog.records[-1].message
    helper.preconfigure_default_device("c", power_preference="low-power")
    assert "is ignored because adapter is set by 'b'" in caplog.records[-1].message
    assert helper.get_default_device().adapter is adapter


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (TypeError, {"feature_level": 42}),
        (ValueError, {"feature_level": "shazzbot"}),
        (TypeError, {"power_preference": 42}),
        (ValueError, {"power_preference": "shazzbot"}),
        (TypeError, {"force_fallback_adapter": "yes"}),
        (TypeError, {"adapter": object()}),
        (TypeError, {"label": 42}),
        (TypeError, {"required_features": "float32-filterable"}),
        (ValueError, {"required_features": {"foobar"}}),
        (TypeError, {"required_limits": set()}),
    ],
)
def test_what_no_device_can_have_is_refused_when_it_is_asked_for(error, asked):
    with pytest.raises(error, match="who asks"):
        DefaultDeviceHelper().preconfigure_default_device("who asks", **asked)


# -- The logger and the diagnostics


def test_the_logger_is_wgpus_and_takes_a_level():
    assert wgpu.logger is logging.getLogger("wgpu")
    assert wgpu.logger.level == logging.WARNING
    wgpu.logger.setLevel("DEBUG")
    wgpu.logger.setLevel("WARNING")


def test_diagnostics_count_the_objects_that_are_alive():
    device = wgpu.get_default_device()

    def buffers():
        return wgpu.diagnostics.object_counts.get_dict()["Buffer"]["count"]

    before = buffers()
    some = [device.create_buffer(size=4, usage="STORAGE") for _ in range(3)]
    assert buffers() == before + 3
    del some
    assert buffers() == before


def test_diagnostics_are_a_dict_and_a_report(capsys):
    class Answer(wgpu.DiagnosticsBase):
        def get_dict(self):
            return {"everything": {"answer": 42}, "more": {"answer": 7}}

    Answer("answers")
    found = wgpu.diagnostics.get_dict()
    assert found["versions"]["wgpu"] == wgpu.__version__
    assert found["system"]["python"]
    assert found["answers"]["everything"] == {"answer": 42}
    wgpu.diagnostics.print_report()
    printed = capsys.readouterr().out
    assert "██ object_counts" in printed
    assert [line.split() for line in printed.splitlines()[-4:]] == [
        ["answer"],
        [],
        ["everything:", "42"],
        ["more:", "7"],
    ]
    with pytest.raises(ValueError, match="identifier"):
        Answer("two words")
