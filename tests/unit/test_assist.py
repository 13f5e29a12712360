"""Lint, completion and documentation as one types (py_src/browser/assist_view.py): from the text
and from what is alive, and never by calling what is the reader's.
"""

import re

import paging
import pytest

from groundling import sources
from groundling.devices.webgpu import attention, tiles
from groundling.edits.columns import units

TRAIN, MODEL = "py_src/groundling/train.py", "py_src/groundling/model.py"


class Page(paging.Page):
    """A session on NumPy that was asked for help."""

    def complete(self, text, path=TRAIN):
        """The labels at ‸ in the text."""
        return [option["label"] for option in self.options(text, path)["options"]]

    def options(self, text, path=TRAIN):
        at = units(text[: text.index("‸")])
        return self.tell("complete", id=1, path=path, text=text.replace("‸", ""), at=at)

    def hover(self, text, path=TRAIN):
        at = units(text[: text.index("‸")])
        return self.tell("hover", id=2, path=path, text=text.replace("‸", ""), at=at)

    def lint(self, text, path=TRAIN):
        message = self.tell("lint", id=3, path=path, text=text)
        assert (message["type"], message["id"], message["path"]) == ("linted", 3, path)
        return message["problems"]


@pytest.fixture(scope="module")
def page():
    """A page whose run has not trained yet, but is there."""
    page = Page()
    page.tell("start", seed="hamlet", iters=5, batchSize=1, lr=1e-3)
    page.tell("pause")
    return page


# ---- lint ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in sources.paths() if not path.endswith(".ts")])
def test_the_library_itself_has_no_problems(page, path):
    assert page.lint(sources.text(path), path) == []


@pytest.mark.parametrize(
    ("text", "marked", "severity", "message"),
    [
        ("x = 1\nif x = 2: pass\n", "x = 2", "error", "Maybe you meant '=='"),
        ("def f():\nreturn 1\n", "return", "error", "expected an indented block"),
        ("x = (1,\n", "(", "error", "never closed"),
        ("é𝄞 = 3\n", "𝄞", "error", "invalid"),
        ("def f():\n    return lsos\n", "lsos", "warning", "Undefined name 'lsos'"),
        ("import math, os\nmath.pi\n", "os", "warning", "'os' imported but unused"),
        ("def f():\n    '𝄞'; unused = 1\n", "unused", "warning", "never used"),
        ("x = 1\nprint(x is 3)\n", "print(x is 3)", "warning", '"is" with'),
    ],
)
def test_python_is_linted_at_its_place(page, text, marked, severity, message):
    problem = page.lint(text)[0]
    assert message in problem["message"]
    assert problem["severity"] == severity
    line = text.split("\n")[problem["line"] - 1].encode("utf-16-le")
    shown = line[2 * problem["column"] : 2 * problem["endColumn"]].decode("utf-16-le")
    assert marked in (shown, shown[: len(marked)])


STEP = """
from .jit import jit
def train(run, device):
    scale = 2.0
    @jit(device)
    def step(x):
        y = x
        print(y.item(), lr, scale)
        return y
    for it in range(10):
        lr = it / 10
        step(lr)
"""


def test_what_a_jitted_function_would_keep_is_told(page):
    item, baked = page.lint(STEP)
    assert "cannot read" in item["message"] and item["line"] == baked["line"] == 8
    assert baked["message"].startswith("lr changes outside")
    assert STEP.split("\n")[7][baked["column"] : baked["endColumn"]] == "lr"


def test_names_at_the_prompt_are_known(page):
    page.tell("evaluate", text="mine = 3")
    assert page.lint("run.iter + mine + sample('x')[0] + nothing", "")[0]["message"].startswith(
        "Undefined name 'nothing'"
    )


@pytest.mark.parametrize(
    "text",
    ["\0", "x = " + "(" * 5000, "x = " + "-" * 50_000 + "1", "\ud800", "x" * 400_000, ""],
)
def test_lint_survives_what_is_hardly_text(page, text):
    problems = page.lint(text)
    assert len(problems) == (text != "")


def test_there_are_at_most_a_hundred_problems(page):
    assert len(page.lint("".join(f"a{i}\n" for i in range(500)))) == 100


GELU = sources.text("shaders/gelu.wgsl")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("}", "", "is not closed"),
        ("(", "[", "closed by"),
        ("@binding(1)", "@binding(2)", "The bindings go 0, 1, 2"),
        ("// grid:", "// gird:", "// grid"),
        ("struct Params", "struct Param", "struct Params"),
        ("fn main", "fn mian", "entry point"),
        ("var<uniform>", "var<storage, read>", "The last binding"),
        ("fn main", "/* fn main", "does not end"),
    ],
)
def test_wgsl_is_linted_for_what_the_device_needs(page, old, new, message):
    assert old in GELU
    problems = page.lint(GELU.replace(old, new), "shaders/gelu.wgsl")
    assert message in problems[0]["message"]
    assert problems[0]["severity"] == "error"
    assert 1 <= problems[0]["line"] <= GELU.count("\n") + 2


@pytest.mark.parametrize("path", tiles.TEMPLATES + attention.TEMPLATES)
def test_a_template_of_kernels_is_no_problem(page, path):
    assert page.lint(sources.text(path), path) == []


# ---- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(run):\n    run.tr‸", ["train_loss", "train_tokens"]),
        ("def f(run):\n    run.model.par‸\n", ["parameters"]),
        ("import numpy as np\nnp.lins‸", ["linspace"]),
        ("def f(alpha):\n    alphabet = 1\n    alp‸\n", ["alpha", "alphabet"]),
        ("class A:\n    def go(self):\n        self.speed = 1\n        self.sp‸\n", ["speed"]),
        ("class A:\n    def go(self):\n        self.g‸\n    def get(self): pass\n", ["go", "get"]),
        ("from .engine.ops import ge‸", ["gelu"]),
        ("from .runs.s‸", ["samples", "statefile", "strict"]),
        ("from .engine.ops import gelu\ngelu(‸)", ["x="]),
        ("def f(device, x):\n    device.run('gel‸", ["gelu", "gelu_backward"]),
        ("def f(model):\n    model.parameters['h.0.ln_1‸", ["h.0.ln_1.weight", "h.0.ln_1.bias"]),
        ("é = '𝄞𝄞'; whi‸", ["while"]),
        ("def f(r: 'Run'):\n    r.set‸\n", ["set_lr"]),
        ("# run.mo‸", []),
        ("x = 'run.mo‸", []),
        ('"""\nrun.mo‸', []),
        ("unknown.thing.‸", []),
    ],
)
def test_completion_knows_the_text_and_what_is_alive(page, text, expected):
    labels = page.complete(text)
    assert labels[: len(expected)] == expected if expected else labels == []


def test_the_class_at_hand_is_known_in_the_real_file(page):
    text = sources.text(MODEL)
    place = "    def eval(self) -> None:\n"
    assert place in text
    labels = page.complete(text.replace(place, f"{place}        self.fl‸\n"), MODEL)
    assert labels[:2] == ["flat", "flat_grad"]


def test_where_completion_begins_is_counted_in_utf_16(page):
    message = page.options("é = '𝄞𝄞'; whi‸")
    assert message["start"] == len("é = '𝄞𝄞'; ".encode("utf-16-le")) // 2


def test_options_have_their_signature_and_first_sentence(page):
    [gelu, *_] = page.options("from .engine.ops import gel‸")["options"]
    assert gelu == {
        "label": "gelu",
        "type": "function",
        "detail": "(x)",
        "info": "GELU in its tanh form, element by element.",
    }
    [iter_, *_] = page.options("def f(run):\n    run.iter‸")["options"]
    assert iter_["label"] == "iter" and iter_["detail"].isdigit()


def test_the_prompt_completes_what_was_typed_before(page):
    page.tell("evaluate", text="my_matrix = np.ones((2, 3))")
    [option, *_] = page.options("my_m‸", "")["options"]
    assert option["label"] == "my_matrix"
    assert page.complete("optimizer.be‸", "") == ["beta1", "beta2"]


def test_wgsl_completes_from_its_text(page):
    text = GELU + "\nfn more() { let y = params.‸; }"
    assert page.complete(text, "shaders/gelu.wgsl") == ["size"]
    assert "workgroupBarrier" in page.complete(GELU + "\nworkg‸", "shaders/gelu.wgsl")


def test_there_are_at_most_200_options(page):
    assert len(page.complete("import numpy as np\nnp.‸")) == 200


# ---- documentation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "signature", "doc"),
    [
        (
            "from .engine.ops import linear\nlin‸ear(x, w)",
            "linear(x: Tensor, weight: Tensor) -> Tensor",
            "x @ weight",
        ),
        (
            "from .optim import AdamW\n‸AdamW",
            "AdamW(model: GPT, beta1=0.9, beta2=0.95, eps=1e-08, weight_decay=0.1)",
            "AdamW (Loshchilov",
        ),
        ("def f(run):\n    run.pau‸se()", "pause(self) -> None", "Make `train` end"),
        ("def f(run):\n    run.mod‸el", "model: GPT", ""),
        ("def g(a, b=2):\n    'Adds.'\n\ng‸(1)", "g(a, b=2)", "Adds."),
        ("def f(run):\n    run.train_lo‸ss", "train_loss", "The running average"),
        ("le‸n('x')", "len(obj, /)", "Return the number"),
    ],
)
def test_hover_tells_signature_and_docstring(page, text, signature, doc):
    message = page.hover(text)
    assert message["signature"] == signature
    assert message["text"].startswith(doc)
    name = re.search(r"\w*‸\w*", text)[0].replace("‸", "")
    assert message["end"] - message["start"] == len(name)


@pytest.mark.parametrize("text", ["x = ‸", "# pri‸nt", "'pri‸nt'", "fo‸r", "unknown‸", "‸"])
def test_hover_on_nothing_is_empty(page, text):
    message = page.hover(text)
    assert message["signature"] == message["text"] == ""


SPY = """
class Meta(type):
    def __getattribute__(self, name): called.append(name); return type.__getattribute__(self, name)
class Spy(metaclass=Meta):
    def __getattribute__(self, name):
        called.append(name)
        return object.__getattribute__(self, name)
    def __repr__(self): called.append("repr"); return ""
    def __eq__(self, other): called.append("eq"); return True
    def __hash__(self): called.append("hash"); return 1
    def __bool__(self): called.append("bool"); return True
    def __len__(self): called.append("len"); return 1
    def __dir__(self): called.append("dir"); return []
    @property
    def weight(self): called.append("weight"); return 1
    def go(self, x=None): "Goes."
called = []
spy = Spy()
spy.__dict__["own"] = spy
called.clear()
"""


def test_nothing_of_the_reader_s_is_called(page):
    page.tell("evaluate", text=SPY)
    page.tell("evaluate", text="def f(x=spy, y: called.append(1) = spy): pass")
    page.tell("evaluate", text="_ = spy\ncalled.clear()")
    assert {"own", "weight", "go"} <= set(page.complete("spy.‸", ""))
    assert "weight" in page.complete("spy.own.we‸", "")
    assert "spy" in page.complete("sp‸", "")
    assert page.complete("f(‸", "")[0] in ("x=", "y=")
    for text in ("sp‸y", "spy.weig‸ht", "spy.g‸o", "Sp‸y", "f‸", "spy.ow‸n"):
        page.hover(text, "")
    page.lint("spy", "")
    assert page.session.doers["evaluate"].names["called"] == []


WORDS = [
    *("run", ".", "(", ")", "def f", ":", "'", '"""', "#", "self", "class A", "import ", "from ."),
    *("é𝄞", "=", "[", "]", "lambda ", "@jit", "\\", "{", "async ", "\0", "\n", "    "),
]


@pytest.mark.parametrize("path", [TRAIN, "", "shaders/gelu.wgsl", "nonsense"])
def test_whatever_is_typed_has_an_answer(page, path, rng):
    for _ in range(150):
        text = "".join(rng.choice(WORDS, int(rng.integers(0, 25))))
        at = int(rng.integers(-2, len(text) + 5))
        for type in ("complete", "hover", "lint"):
            message = page.tell(type, id=7, path=path, text=text, at=at)
            assert message["id"] == 7, message
