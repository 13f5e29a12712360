"""What is done to a kernel's text before it is compiled changes nothing that it says."""

import re

import pytest

from groundling import sources
from groundling.devices.webgpu.wgsl import BINDING, join, unroll

KERNEL = """const N: u32 = 4;
const M: u32 = 2;
var<private> x: array<f32, N>;
var<private> y: array<f32, M>;
var<private> sum: f32;
fn main() {
  for (var j = 0u; j < 9u; j++) {
    for (var c = 0u; c < N; c++) { BODY }
  }
}
"""


def unrolled(body: str, kernel: str = KERNEL) -> str:
    return unroll(kernel.replace("BODY", body))


@pytest.mark.parametrize(
    "body", ["sum += x[c];", "x[c] *= 2.0;", "x[c] = big[j + c];", "put(j + c, x[c]); /* all */"]
)
def test_a_loop_that_only_indexes_is_written_out(body: str):
    text = unrolled(body)
    assert len(re.findall(r"\bfor\b", text)) == 1 and "3u" in text
    assert not re.search(r"\bc\b", text)


def test_a_loop_over_vectors_of_four_is_written_out():
    """Over a length that is a fourth of another, rounded up."""
    code = KERNEL.replace("const M: u32 = 2;", "const M: u32 = (N + 3u) / 4u;")
    for n, m in ((4, 1), (5, 2), (16, 4)):
        text = unroll(code.replace("N: u32 = 4", f"N: u32 = {n}").replace("c < N", "c < M")
                      .replace("BODY", "y[c] = 0.0;"))  # fmt: skip
        assert text.count("= 0.0;") == m and len(re.findall(r"\bfor\b", text)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "if (x[c] > 1.0) { continue; } sum += x[c];",
        "if (x[c] > 1.0) { break; } sum += x[c];",
        "switch j { case 0u: { break; } default: { sum += x[c]; } }",
        "for (var k = 0u; k < 2u; k++) { if (k == 1u) { continue; } sum += x[c]; }",
        "while (sum < 1.0) { sum += x[c]; if (sum > 0.5) { break; } }",
        "if (x[c] > 1.0) { return; }",
    ],
    ids=["continue", "break", "switch", "inner for", "inner while", "return"],
)
def test_a_loop_with_jumps_of_its_own_stays(body: str):
    assert unrolled(body) == KERNEL.replace("BODY", body)


@pytest.mark.parametrize(
    "body",
    [
        "sum += s.c;",
        "sum += s . c + x[c];",
        "{ let c = 1u; sum += x[c]; }",
        "c += 1u; sum += x[c];",
        "bump(&c);",
        "if (c > 0u) { sum += x[c - 1u]; }",
        "if (c < 2u) { sum += y[c]; }",
        "sum += f32(1u << c);",
        "var own: array<f32, 2048>; own[c] = 1.0;",
        "sum += x[M + c];",
    ],
    ids=[
        "member",
        "spaced member",
        "shadowed",
        "assigned",
        "pointed at",
        "before the first",
        "past a shorter array",
        "shifted",
        "variable",
        "constant",
    ],
)
def test_a_loop_whose_counter_may_not_be_a_number_stays(body: str):
    """Of a number that is known, the compiler refuses `0u - 1u` even where it is never reached."""
    assert unrolled(body) == KERNEL.replace("BODY", body)


def test_a_loop_over_a_constant_that_is_shadowed_stays():
    kernel = KERNEL.replace("fn main() {", "fn main() { const N = 2u;")
    assert unrolled("sum += x[c];", kernel) == kernel.replace("BODY", "sum += x[c];")


def test_comments_are_no_code():
    body = "sum += x[c]; /* } for c in /* s.c */ break; */"
    assert unrolled(body).count("sum += x[2u];") == 1
    commented = (
        "// for (var j = 0u; j < 9u; j++) {\n" + KERNEL.replace("j < 9u; j++) {", "") + "/* }"
    )
    assert unroll(commented) == commented


@pytest.mark.parametrize("text", ["", "}", "for (var c = 0u; c < N; c++) {", "/* /* */", "/", "*/"])
def test_a_text_that_is_no_kernel_is_left_to_the_compiler(text: str):
    kernel = "const N: u32 = 4;\nfor (;;) {\n" + text
    assert unroll(kernel) == kernel


def test_each_line_keeps_its_number():
    kernel = KERNEL.replace("BODY", "\n// one\nsum += x[c];\n/* two\n*/ x[c] = 0.0;\n")
    before, after = kernel.split("\n"), unroll(kernel).split("\n")
    assert len(after) == len(before) and after[9].strip() == "sum += x[0u];"
    assert after[:7] == before[:7] and after[-3:] == before[-3:]


def test_attention_s_loops_within_loops_are_written_out():
    for name in ("attention", "attention_backward"):
        text = unroll(sources.text(f"shaders/{name}.wgsl"))
        deepest = [len(line) - len(line.lstrip()) for line in text.split("\n") if "for (" in line]
        assert max(deepest) == 2 and "[15u]" in text


@pytest.mark.parametrize("x", ["x: array<f32>", "x : array<f32>", "x: array<vec4<f32>>"])
def test_a_joined_kernel_numbers_its_buffers_however_they_are_declared(x: str):
    code = sources.text("shaders/gelu.wgsl").replace("x: array<f32>", x)
    text = join([code, code], ["size / 64"] * 2, [0, 1, 2, 3])
    kinds = ["storage, read", "storage, read_write"] * 2 + ["uniform"]
    assert [found[:2] for found in BINDING.findall(text)] == [
        (str(number), kind) for number, kind in enumerate(kinds)
    ]
    element = x.partition("array<")[2][:-1]
    assert [found[3] for found in BINDING.findall(text)] == [element, "f32", element, "f32", ""]
