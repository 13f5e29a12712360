"""Errors in edited code: the exact place, the reader's frames apart, and a hint that helps."""

import builtins
import linecache
import sys

import numpy as np
import pytest

from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.base import DeviceError
from groundling.devices.numpy import NumPyDevice
from groundling.edits.errors import (
    MAX_DETAIL,
    MAX_FRAMES,
    MAX_MESSAGE,
    describe,
    wgsl_problem,
)
from groundling.edits.introspect import attributes
from groundling.engine import ops
from groundling.engine.jit import jit
from groundling.model import GPT, initial_weights
from groundling.optim import clip_grad_norm_
from groundling.runs.run import Run
from groundling.train import train

PATH = "py_src/groundling/mine.py"


def fail(text: str, **names) -> BaseException:
    """What running this text as the reader's file raises."""
    try:
        exec(compile(text, PATH, "exec"), {"__builtins__": builtins, **names})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def told(text: str, **names):
    return describe(fail(text, **names), {PATH: text})


def underlined(text: str, frame) -> str:
    """What a frame marks of the text, whose columns are UTF-16 code units."""
    line = text.split("\n")[frame.line - 1].encode("utf-16-le")
    assert frame.end_line == frame.line
    return line[2 * frame.column : 2 * frame.end_column].decode("utf-16-le")


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("x = 1\ny = x + (2 / 0)\n", "2 / 0"),
        ("é = '𝄞𝄞'; y = é.nothing\n", "é.nothing"),
        ("def f():\n\treturn [1, 2][5]\nf()\n", "[1, 2][5]"),
        ("x = (\r\n  1,\r\n  2 + '𝄞')\r\n", "2 + '𝄞'"),
    ],
)
def test_the_exact_range_is_marked(text, mark):
    frame = told(text).frames[-1]
    assert (frame.path, frame.yours) == (PATH, True)
    assert underlined(text, frame) == mark
    assert frame.text == text.split("\n")[frame.line - 1].rstrip("\r")


@pytest.mark.parametrize(
    ("text", "line", "mark", "title"),
    [
        ("x = 1\nif x = 2:\n    pass\n", 2, "x = 2", "This is not Python"),
        ("x = '𝄞')\n", 1, ")", "This is not Python"),
        ("x = (1,\ny = 2\n", 1, "(", "This is not Python yet"),
        ("def f():\nreturn 1\n", 2, "return", "The indentation is wrong"),
        ("def f():\n    x = 1\n  y = 2\n", 3, "y = 2", "The indentation is wrong"),
    ],
)
def test_a_syntax_error_is_at_its_place(text, line, mark, title):
    error = told(text)
    frame = error.frames[-1]
    assert (frame.line, error.title) == (line, title)
    assert mark in text.split("\n")[line - 1]
    if title == "This is not Python":
        assert underlined(text, frame) == mark
    assert 0 <= frame.column < frame.end_column
    assert frame.yours and frame.path == PATH


def test_the_reader_s_frames_are_told_from_the_library_s():
    text = "def block(x, w):\n    return linear(x, w)\nblock(x, w)\n"
    device = NumPyDevice()
    x, w = device.empty(2, 3), device.empty(4, 5)
    error = told(text, linear=ops.linear, x=x, w=w)
    frames = [(f.path, f.name, f.yours) for f in error.frames if f.path != "test_errors.py"]
    assert frames == [
        (PATH, "<module>", True),
        (PATH, "block", True),
        ("py_src/groundling/engine/ops.py", "linear", False),
    ]
    assert error.title == "These shapes do not fit"
    assert "(2, 3)" in error.message
    assert [frame.name for frame in error.frames if frame.yours] == ["<module>", "block"]


HINTS = [
    ("loss = 1\nprint(lsos)\n", "Did you mean 'loss'?"),
    ("import math\nmath.sqr(2)\n", "Did you mean .sqrt?"),
    ("class A:\n  weight = 1\nA().wieght\n", "Did you mean .weight?"),
    ("from groundling.engine.ops import gleu\n", "Did you mean 'gelu'?"),
    ("from groundling.engine.ops import no_such_name\n", "Define it in groundling.engine.ops"),
    (  # an edit deleted it, was refused, and the module has it again
        "raise ImportError(\"cannot import name 'cross_entropy'\", name='groundling.engine.ops')\n",
        "Define it in groundling.engine.ops",
    ),
    ("import groundling.ops\n", "groundling.ops is groundling.engine.ops now"),
    ("import no_such_module\n", "What can be imported"),
    ("def f():\n  pass\nf().backward()\n", "ends without `return` gives None"),
    ("def f():\n  pass\nf() + 1\n", "ends without `return` gives None"),
    ("x = 3\nx(4)\n", "is not a function"),
    ("def f(a): pass\nf(b=1)\n", "struct Params"),
    ("def f():\n  x += 1\nf()\n", "its own in all of it"),
    ("def f(): f()\nf()\n", "does not call itself"),
    ("raise MemoryError\n", "growing each step"),
    ("raise KeyboardInterrupt\n", "as you asked"),
    ("raise SystemExit\n", "leave out exit()"),
    ("import numpy as np\nnp.ones(3) @ np.ones(4)\n", "Follow the two shapes back"),
    ("import numpy as np\nnp.ones(3) + np.ones(4)\n", "Follow the two shapes back"),
    ("{}[1]\n", "Print list(...)"),
]


@pytest.mark.parametrize(("text", "hint"), HINTS, ids=[hint for _, hint in HINTS])
def test_a_common_mistake_has_a_hint(text, hint):
    assert hint in told(text).hint


def small_model(device):
    config = GPTConfig(5, block_size=4, n_layer=1, n_head=1, n_embd=4, d_ff=8)
    return GPT(config, device, initial_weights(config, "hamlet"))


def test_a_missing_backward_says_so_at_the_first_step():
    model = small_model(NumPyDevice())
    error = told("clip(model, 1.0)\n", clip=clip_grad_norm_, model=model)
    assert error.title == "The gradients are missing"
    assert "call loss.backward()" in error.message
    assert error.frames[-1].path == "py_src/groundling/optim.py"


def test_a_backward_that_ran_before_says_so():
    model = small_model(NumPyDevice())
    x = model.device.tensor(np.array([[0, 1]], np.uint32))
    error = told("loss.backward()\nloss.backward()\n", loss=model.loss(x, x))
    assert error.title == "The gradients are missing"


@pytest.mark.parametrize("read", ["x.item()", "x.numpy()"])
def test_a_read_inside_a_jitted_function_is_an_error_that_leaves_the_device_well(read):
    device = NumPyDevice()
    text = f"@jit(device)\ndef step(x):\n    return {read}\nstep(one)\n"
    one = np.ones(1, np.float32)
    error = told(text, jit=jit, device=device, one=one)
    assert error.title == "A value was read inside a jitted function"
    [*_, mine] = [frame for frame in error.frames if frame.yours]
    assert underlined(text, mine) == read
    assert device.tensor(one).item() == 1


def test_a_wrong_parameter_of_a_kernel_says_where_the_names_are():
    device = NumPyDevice()
    x, y = device.tensor(np.ones(3)), device.empty(3)
    error = told("device.run('gelu', x, y, sise=3)\n", device=device, x=x, y=y)
    assert "struct Params" in error.hint
    assert "sise" in error.message
    assert any(frame.yours for frame in error.frames)


def test_a_kernel_that_is_not_there_says_how_to_make_one():
    device = NumPyDevice()
    error = told("device.run('relu2')\n", device=device)
    assert error.title == "There is no such kernel"
    assert "shaders/NAME.wgsl" in error.hint


def test_a_loss_without_return_is_told_in_the_reader_s_file(monkeypatch):
    text = "def loss(self, tokens, targets):\n    self.forward(tokens)\n"
    names = {}
    exec(compile(text, PATH, "exec"), names)
    monkeypatch.setattr(GPT, "loss", names["loss"])
    corpus = Corpus("To be, or not to be, that is the question. " * 9)
    config = GPTConfig(corpus.vocab_size, block_size=4, n_layer=1, n_head=1, n_embd=4, d_ff=8)
    run = Run(TrainConfig(iters=2, batch_size=1), corpus, NumPyDevice(), config)
    with pytest.raises(AttributeError) as raised:
        list(train(run))
    error = describe(raised.value, {PATH: text})
    assert error.title == "There is nothing here: None"


def test_the_cause_s_frames_are_shown_when_the_error_s_own_are_not_the_reader_s():
    text = "def f():\n    return {}['x']\n"
    names = {}
    exec(compile(text, PATH, "exec"), names)

    def wrap():
        try:
            names["f"]()
        except KeyError as error:
            raise RuntimeError("outside") from error

    with pytest.raises(RuntimeError) as raised:
        wrap()
    error = describe(raised.value, {PATH: text})
    assert underlined(text, error.frames[-1]) == "{}['x']"
    assert "It came of KeyError" in error.message


@pytest.mark.native  # Pyodide has no room for so deep a stack
def test_a_recursion_of_ten_thousand_frames_is_short():
    text = "def f(n):\n    return f(n - 1) if n else 1 / 0\nf(10_000)\n"
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        error = fail(text)
    finally:
        sys.setrecursionlimit(before)
    told = describe(error, {PATH: text})
    assert len(told.frames) == MAX_FRAMES
    assert underlined(text, told.frames[-1]) == "1 / 0"
    assert told.frames[1].name == "<module>" or told.frames[0].name == "<module>"
    assert len(told.detail) < MAX_DETAIL + 100


def test_a_message_of_a_megabyte_is_short():
    error = told("raise ValueError('x' * 10**6)\n")
    assert len(error.message) < MAX_MESSAGE + 100
    assert len(error.detail) < MAX_DETAIL + 100
    assert error.message.startswith("ValueError: xxx")


def test_a_long_line_is_cut():
    text = "x = [1 / 0" + ", 1" * 10_000 + "]\n"
    assert len(told(text).frames[-1].text) == 500


EVIL = """
class Evil(Exception):
    def __str__(self): raise RuntimeError("no")
    def __getattr__(self, name): raise RuntimeError("no")
    __repr__ = __str__
raise Evil
"""


def test_an_error_that_cannot_be_printed_is_told_all_the_same():
    error = told(EVIL)
    assert error.message == "Evil: (its message cannot be had: RuntimeError)"
    assert underlined(EVIL, error.frames[-1]) == "raise Evil"


def test_hints_call_no_code_of_the_object():
    called = []

    class Spy:
        def __getattr__(self, name):
            called.append(name)
            raise AttributeError(name=name, obj=self)

        def __dir__(self):
            called.append("dir")
            return []

    assert "__dir__" in attributes(Spy()) and called == []
    assert "which has no weight" in told("spy.weight\n", spy=Spy()).hint


def test_what_was_typed_in_the_console_is_the_reader_s():
    text = "x = 1\nx.foo"
    name = "<console 7>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    try:
        exec(compile(text, name, "exec"), {})
    except AttributeError as error:
        frame = describe(error).frames[-1]
    assert (frame.path, frame.yours, frame.line, frame.text) == ("", True, 2, "x.foo")
    assert (frame.column, frame.end_column) == (0, 5)


NAGA = """Validation Error

Caused by:
  In wgpuDeviceCreateShaderModule, label = 'gelu'

Shader 'gelu' parsing error: no definition in scope for identifier: `yy`
  ┌─ wgsl:2:3
  │
2 │   yy[0]=1.0;
  │   ^^ unknown identifier

"""
NAGA_NOTE = """Shader validation error: Function [0] 'f' is invalid
  ┌─ gelu:1:1
  │
1 │ fn f() -> f32 { return 1u; }
  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  │ │
  = The `return` expression does not match

"""
TINT = """Error while parsing WGSL: :2:3 error: unresolved value 'yy'
  yy[0]=1.0;
  ^^

 - While validating [ShaderModuleDescriptor "gelu"]
"""


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (NAGA, ("no definition in scope for identifier: `yy`", 2, 3, 2)),
        (
            NAGA_NOTE,
            (
                "Function [0] 'f' is invalid. The `return` expression does not match",
                *(1, 1, 28),
            ),
        ),
        (TINT, ("unresolved value 'yy'", 2, 3, 2)),
        ("out of memory", None),
    ],
)
def test_a_wgsl_compiler_s_words_have_a_place(said, place):
    assert wgsl_problem(said) == place


@pytest.mark.parametrize("said", [NAGA, TINT])
def test_a_wgsl_error_has_one_frame_in_its_file(said):
    text = "fn main() {\n  yy[0]=1.0;\n}\n"
    error = describe(
        DeviceError(f"Kernel gelu does not compile: {said}"), {"shaders/gelu.wgsl": text}
    )
    [frame] = error.frames
    assert (frame.path, frame.line, frame.yours) == ("shaders/gelu.wgsl", 2, True)
    assert underlined(text, frame) == "yy"
    assert error.title == "The kernel does not compile"
    assert "yy" in error.message and "┌" not in error.message


def test_an_error_with_no_traceback_has_no_frames():
    assert describe(ValueError("x")).frames == []
    assert describe(KeyError(3)).message == "KeyError: 3"
