"""The page's console (py_src/browser/console_view.py): what is printed, and what is typed."""

import contextlib
import io
import json
import sys

import numpy as np
import paging
import pytest
from console_view import HEAD, TAIL, entry

import groundling.train
from groundling.runs import statefile
from groundling.runs.samples import prompt

pytestmark = pytest.mark.native  # whole runs; tests/browser has the real worker

SETTINGS = {"seed": "hamlet", "iters": 3, "batchSize": 2, "lr": 1e-3}


class Page(paging.Page):
    """A session on NumPy with its console, and a clock that the test sets."""

    def __init__(self):
        self.now = 0.0
        super().__init__(clock=lambda: self.now)
        self.console = self.session.doers["evaluate"]

    def tell(self, type, **values):
        self.session.receive({"type": type, **values})
        self.step()

    def step(self):
        self.now += 1
        return self.session.advance()

    def batches(self):
        return [message["entries"] for message in self.of("console")]

    def entries(self):
        return [entry for batch in self.batches() for entry in batch]

    def evaluate(self, text):
        """What the console shows of it, but for the echo."""
        seen = len(self.entries())
        self.tell("evaluate", text=text)
        self.step()
        echo, *rest = self.entries()[seen:]
        assert echo == {"kind": "in", "text": text}
        return rest

    @contextlib.contextmanager
    def printing(self):
        """In this block the console has what is printed."""
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            self.console.capture()
            yield

    def value(self, text):
        [shown] = self.evaluate(text)
        assert shown["kind"] == "value", shown
        return shown["text"]

    def error(self, text):
        *_, shown = self.evaluate(text)
        assert shown["kind"] == "error", shown
        return shown["error"]

    def printed(self):
        return "".join(e["text"] for e in self.entries() if e["kind"] in ("out", "err"))


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def trained(page):
    page.tell("start", **SETTINGS)
    while page.session.phase == "training":
        page.step()
    return page


# ---- what is printed -----------------------------------------------------------------------------


def test_what_is_printed_is_posted_at_once_and_then_in_batches(page):
    with page.printing():
        print("one")
        assert page.batches() == [[{"kind": "out", "text": "one\n"}]]
        for i in range(100):
            print(i)
        assert len(page.batches()) == 1
        page.now += 1
        page.session.flush()
        [_, [entry]] = page.batches()
        assert entry["text"] == "".join(f"{i}\n" for i in range(100))


def test_errors_are_told_from_output_in_their_order(page):
    with page.printing():
        page.console.posted = page.now
        print("a")
        print("b", file=sys.stderr)
        print("c")
        page.step()
        kinds = [(entry["kind"], entry["text"]) for entry in page.entries()]
        assert kinds == [("out", "a\n"), ("err", "b\n"), ("out", "c\n")]


def test_a_million_lines_are_their_beginning_and_their_end(page):
    with page.printing():
        page.console.posted = page.now
        n = 200_000
        for i in range(n):
            print(i)
        page.step()
        text = page.printed()
        assert len(text) < HEAD + TAIL + 100
        assert text.startswith("0\n1\n2\n")
        assert text.endswith(f"{n - 1}\n")
        before, _, rest = text.partition("\n… ")
        left_out, _, after = rest.partition(" lines are left out here …\n")
        assert before.count("\n") + int(left_out.replace(",", "")) + after.count("\n") in (n, n - 1)


def test_a_long_line_loses_its_middle(page):
    with page.printing():
        page.console.posted = page.now
        print("a" * 10**6 + "b")
        page.step()
        text = page.printed()
        assert len(text) < HEAD + TAIL + 100
        assert f"{10**6 + 2 - HEAD - TAIL:,} characters are left out" in text
        assert text.endswith("ab\n")


def test_the_page_rests_when_all_is_posted(page):
    with page.printing():
        page.console.posted = page.now
        print("x")
        assert page.step() is False
        assert page.printed() == "x\n"


# ---- the prompt ----------------------------------------------------------------------------------


def test_expressions_and_statements_are_run_and_the_last_value_is_kept(page):
    assert page.evaluate("x = 20") == []
    assert page.value("x + 1") == "21"
    assert page.value("_ * 2") == "42"
    assert page.value("y = 3\nfor i in range(3): y += i\ny") == "6"
    assert page.evaluate("None") == []
    assert page.value("_") == "6"
    assert page.evaluate("") == page.evaluate("# nothing") == []


def test_what_an_evaluation_prints_comes_between_its_text_and_its_value(page):
    with page.printing():
        shown = page.evaluate("print('hello')\n7")
        assert [(e["kind"], e["text"]) for e in shown] == [("out", "hello\n"), ("value", "7")]


def test_a_function_that_was_typed_sees_what_was_typed(page):
    page.evaluate("k = 5\ndef f(n):\n    return n * k")
    page.evaluate("k = 7")
    assert page.value("f(3)") == "21"


def test_the_live_run_is_at_hand(trained):
    assert trained.value("run.iter") == "3"
    assert trained.value("model is run.model, optimizer is run.optimizer") == "(True, True)"
    assert trained.value("len(corpus.train) > 100, device.name") == "(True, 'numpy')"
    assert trained.value("np.pi").startswith("3.14159")
    text = trained.value("sample('To be', length=9, temperature=0.5)")
    assert text.startswith("'To be") and len(eval(text)) == len("To be") + 9


def test_a_sample_goes_on_from_the_beginning_of_the_text_unless_it_is_told_from_what(trained):
    corpus = trained.session.run.corpus
    assert eval(trained.value("sample(length=9)")).startswith(prompt(corpus))
    assert len(eval(trained.value("sample(length=9)"))) == len(prompt(corpus)) + 9


def test_without_a_run_the_prompt_says_what_is_missing(page):
    for name in ("run", "model", "optimizer", "sample"):
        error = page.error(f"{name}.iter")
        assert error["title"] == "There is no run"
        assert "press Start" in error["hint"]
    assert page.value("1 + 1") == "2"


def test_names_follow_the_run_but_for_those_the_reader_took(trained):
    trained.evaluate("model = 3")
    trained.evaluate("kept = sample")
    trained.tell("reset")
    assert trained.error("run")["title"] == "There is no run"
    assert trained.value("model") == "3"
    assert "press Start" in trained.error("kept('To')")["message"]


def test_an_evaluation_while_training_leaves_the_run_as_it_would_have_been(trained):
    page = Page()
    page.tell("start", **SETTINGS)
    for text in (
        "run.train_loss",
        "model.parameters",
        "1 / 0",
        "sample('To', 3)",
        "raise KeyboardInterrupt",
    ):
        page.evaluate(text)
    while page.session.phase == "training":
        page.step()
    ours, plain = (p.session.run.state() for p in (page, trained))
    assert ours.weights.tobytes() == plain.weights.tobytes()
    assert ours.m.tobytes() == plain.m.tobytes()
    assert ours.log == plain.log and ours.batches == plain.batches


def test_weights_assigned_on_purpose_are_the_run_s(trained):
    trained.evaluate("device.write(model.parameters['wte'], np.zeros((corpus.vocab_size, 64)))")
    assert not trained.session.run.model.parameters["wte"].numpy().any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("x" * 200_000, "ValueError: The prompt takes 100,000"),
    ],
)
def test_an_error_is_told_with_its_place_and_the_prompt_goes_on(page, text, message):
    page.tell("evaluate", text=text)
    page.step()
    error = page.entries()[-1]["error"]
    assert error["message"].startswith(message)
    if len(text) < 100:
        frame = error["frames"][-1]
        assert (frame["path"], frame["yours"], frame["line"]) == ("", True, 1)
        assert frame["text"] == text
        assert frame["endLine"] == 1 and frame["endColumn"] > frame["column"]
        assert len(error["frames"]) == 1
    assert page.value("2") == "2"


def test_a_lost_device_is_the_session_s_to_tell(trained):
    trained.evaluate("from groundling.devices.base import DeviceLost")
    trained.tell("evaluate", text="raise DeviceLost('gone')")
    assert trained.session.phase == "error"


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (list(range(1000)), "99, ...]"),
        ({i: i for i in range(1000)}, "... 900 more}"),
        ("x" * 10**6, "xxx..."),
        ({"b": 1, "a": {"c": [2]}}, "{'b': 1,\n 'a': {'c': [2]}}"),
    ],
)
def test_a_long_value_is_cut(value, shown):
    shows = entry(value)
    assert shows["kind"] == "value" and len(shows["text"]) < 5_000
    assert shown.rstrip("x.") in shows["text"]


def test_a_value_whose_repr_raises_is_shown_all_the_same():
    class Shy:
        def __repr__(self):
            raise ValueError("no")

    assert "Shy" in entry(Shy())["text"]


def test_an_array_is_its_shape_statistics_and_a_picture():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    array[2, 3] = np.nan
    shown = entry(array)
    view = shown["array"]
    assert shown["kind"] == "array"
    assert shown["text"].startswith("ndarray float32 (3, 4)\n[[ 0.")
    assert (view["shape"], view["dtype"]) == ([3, 4], "float32")
    assert (view["mean"], view["min"], view["max"]) == (5.0, 0.0, 10.0)
    assert view["std"] == pytest.approx(np.arange(11).std())
    assert (view["width"], view["height"], len(view["pixels"])) == (4, 3, 12)
    assert view["pixels"][0] == 0 and view["pixels"][10] == 255


@pytest.mark.parametrize(
    ("array", "width", "height"),
    [
        (np.zeros((500, 1000)), 64, 64),
        (np.zeros(7), 7, 1),
        (np.array(3.0), 0, 0),
        (np.zeros((0, 3)), 0, 0),
        (np.zeros((2, 3, 4)), 4, 6),
        (np.array([True, False]), 2, 1),
        (np.array([np.inf, -np.inf]), 2, 1),
        (np.array([1e308, -1e308]), 2, 1),
        (np.arange(70, dtype=np.uint32), 64, 1),
    ],
)
def test_a_picture_is_at_most_64_pixels_wide_and_high(array, width, height):
    view = entry(array)["array"]
    assert (view["width"], view["height"]) == (width, height)
    assert len(view["pixels"]) == width * height
    assert all(0 <= pixel <= 255 for pixel in view["pixels"])
    json.dumps(view, allow_nan=False)


def test_averages_are_of_what_a_pixel_stands_for():
    view = entry(np.repeat([0.0, 1.0, 0.5, 0.25], 64))["array"]
    assert view["pixels"] == [0] * 16 + [255] * 16 + [128] * 16 + [64] * 16


def test_a_tensor_is_read_and_shown_like_an_array(trained):
    [shown] = trained.evaluate("model.parameters['wte']")
    vocab = trained.session.corpus.vocab_size
    assert shown["array"]["shape"] == [vocab, 64]
    assert shown["text"].startswith(f"Tensor(f32[{vocab}, 64] on numpy)\n[[")
    [shown] = trained.evaluate("run.train_tokens")
    assert shown["array"]["dtype"] == "u32"


def test_text_and_objects_in_arrays_are_shown_as_they_print():
    assert entry(np.array(["a", None], dtype=object))["kind"] == "value"


def test_the_stream_takes_text_only(page):
    with page.printing():
        with pytest.raises(TypeError):
            sys.stdout.write(b"x")
        assert isinstance(sys.stdout, io.TextIOBase) and sys.stdout.encoding == "utf-8"


def test_a_state_saved_after_an_evaluation_is_read_again(trained):
    trained.evaluate("x = run.state()")
    assert statefile.loads(statefile.save_state(trained.session.run)).state.iter == 3
    assert groundling.runs.run.Run is type(trained.session.run)


# ---- what a training step is made of -------------------------------------------------------------


def test_a_line_that_only_looks_leaves_the_captured_step_as_it_is(page):
    page.tell("start", **SETTINGS | {"iters": 10_000})

    def step():
        return page.session.run.captured(groundling.train.training_step)

    before = step()
    for line in ("run.iter", "model.config.n_head + 1", "1 +", "[run, model][0]"):
        page.evaluate(line)
        assert step() is before, line
    for line in ("x = 1", "repr(run)", "(y := 2)", "import math", "del x"):
        page.evaluate(line)
        assert step() is not before, line
        before = step()


def test_what_was_typed_is_followed_even_where_no_attribute_shows_it(page):
    """The model is the same, and what its method finds by a name at the prompt is another."""
    page.tell("start", **SETTINGS | {"iters": 10_000})
    page.evaluate("scale, mlp = 1.0, model.h[0].mlp")
    page.evaluate("model.h[0].mlp = lambda x: scale * mlp(x)")
    while page.session.run.iter < 4:
        page.step()
    page.tell("pause")
    page.evaluate("scale = 0.0")
    page.tell("resume")
    while page.session.run.iter < 8:
        page.step()
    kernels = {command.kernel for command in page.session.device.replayed.commands}
    factors = [
        command.params["factor"]
        for command in page.session.device.replayed.commands
        if command.kernel == "copy"
    ]
    assert "copy" in kernels and 0.0 in factors and page.session.phase == "training"
