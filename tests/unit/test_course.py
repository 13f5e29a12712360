"""The course: its lessons' files (site/course.py), and the verdicts (groundling/labs/course.py)."""

import importlib.util
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from paging import Page

from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, Corpus, shakespeare
from groundling.devices.kernels import KERNELS
from groundling.devices.numpy import NumPyDevice
from groundling.labs import course, report
from groundling.labs.course import Seen
from groundling.labs.diagnosis import Verdict as Diagnosis
from groundling.labs.twin import Verdict
from groundling.runs import checkpoint, statefile
from groundling.runs.inspector import Contents
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # site/ is not in the page's Python

SITE = Path(__file__).parents[2] / "site"
TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 20
CORPUS = Corpus(TEXT)
SMALL = dict(block_size=8, n_layer=1, n_head=2, n_embd=8, d_ff=32)
MODEL = GPTConfig(CORPUS.vocab_size, **SMALL)
LANGUAGES = sorted(path.name for path in (SITE / "lessons").glob("*"))


@cache
def reader():
    """site/course.py as a module."""
    spec = importlib.util.spec_from_file_location("course_reader", SITE / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_of(iters: int, sample_every: int = 0) -> Run:
    """A run that has made so many updates."""
    run = Run(TrainConfig(iters=100, batch_size=4), CORPUS, NumPyDevice(), MODEL)
    run.sample_every = sample_every
    for record in train(run) if iters else ():
        if record.iter == iters - 1:
            run.pause()
    return run


# ---- the lessons ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_lesson_names_verdicts_words_and_places_that_there_are(language):
    words = set(re.findall(r"^  (\w+): \{$", (SITE / "src/ui/glossary.ts").read_text(), re.M))
    tabs = re.findall(r'^    id: "(\w+)"', (SITE / "src/page/views.tsx").read_text(), re.M)
    sources = "".join(path.read_text() for path in (SITE / "src").rglob("*.tsx"))
    ids = set(re.findall(r'\bid="([\w-]+)"', (SITE / "index.html").read_text() + sources))
    places = ids | {f"tab-{tab}" for tab in tabs}
    for lesson in reader().lessons()[language]:
        course.check(Seen(), **lesson["check"])  # ValueError if there is none
        if lesson["answer"]:
            course.answer(Seen(), **lesson["answer"], value=0)
        choices = [choice[part] for choice in lesson["choices"] for part in ("text", "says")]
        lines = [lesson[part] for part in ("text", "task", "question", "hints")] + [choices]
        for span in (span for part in lines for line in part for span in line):
            if isinstance(span, dict):
                known = {"term": words, "place": places}.get(span["as"], {span["to"]})
                assert span["to"] in known, (lesson["title"], span)


def test_a_lesson_fits_a_screen():
    for lesson in reader().lessons()["en"]:
        said = " ".join(
            span if isinstance(span, str) else span["text"]
            for line in lesson["text"]
            for span in line
        )
        assert 60 < len(said.split()) < 170, lesson["title"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# Press", "Press", "title"),
        ("## Hints", "## Tips", "sections"),
        ("check: trained iters=50", "", "check"),
        ("answer: even_guess within=0.01", "", "one number"),
        ("answer: even_guess within=0.01", "- [x] One.", "what is said of it"),
        ("1. The loss is minus", "The loss is minus", "hints"),
    ],
)
def test_a_lesson_of_another_form_is_refused_by_name(tmp_path, old, new, fault):
    whole = (SITE / "lessons/en/01-start.md").read_text(encoding="utf-8")
    (tmp_path / "de").mkdir()
    (tmp_path / "de/01-start.md").write_text(whole.replace(old, new), encoding="utf-8")
    with pytest.raises(reader().LessonError, match=rf"de/01-start\.md: .*{fault}"):
        reader().lessons(tmp_path)


# ---- tasks ---------------------------------------------------------------------------------------


def test_training_is_done_after_so_many_updates():
    none = course.check(Seen(), "trained", {"iters": 3})
    assert not none.done and "press Start" in none.says
    run = run_of(3)
    early = course.check(Seen(run), "trained", {"iters": 4})
    assert not early.done and "3 of 4 updates" in early.says
    found = course.check(Seen(run), "trained", {"iters": 3})
    assert found.done and f"began at {run.log[0].train:.2f}" in found.says


def test_samples_are_counted_and_measured():
    run = run_of(5, sample_every=4)
    early = course.check(Seen(run), "sampled", {"times": 3})
    assert not early.done and f"{len(run.samples)} of 3 samples" in early.says
    found = course.check(Seen(run), "sampled", {"times": 2})
    assert found.done and "From iteration 0 to 4" in found.says


SAME = Verdict(("a", "a"), 5, ("f" * 64, "f" * 64), ("w" * 64, "w" * 64), None)
OTHER = Verdict(("a", "b"), 5, ("f" * 64, "e" * 64), ("w" * 64, "v" * 64), 0)


@pytest.mark.parametrize(
    ("twins", "done", "says"),
    [
        (None, False, "press Run twin"),
        (OTHER, False, "two seeds, 'a' and 'b'"),
        (replace(OTHER, seeds=("a", "a")), False, "another order"),
        (SAME, True, "f" * 16),
    ],
)
def test_a_twin_is_done_when_one_seed_made_the_same_bytes(twins, done, says):
    found = course.check(Seen(twins=twins), "twin", {})
    assert found.done == done and says in found.says


def weights_of(run: Run) -> Contents:
    return Contents(checkpoint.dumps(run.checkpoint()))


def state_of(run: Run) -> Contents:
    return Contents(statefile.save_state(run))


def test_files_are_done_when_the_weights_and_the_state_are_of_one_moment():
    weights, state, later = weights_of(run_of(2)), state_of(run_of(2)), state_of(run_of(3))
    for files, says in (
        ({}, "press The current run"),
        ({"b": state}, "press The current run"),
        ({"a": weights}, "No state"),
        ({"a": weights, "b": later}, "iteration 2, the state of 'hamlet' at 3"),
    ):
        found = course.check(Seen(files=files), "files", {})
        assert not found.done and says in found.says
    found = course.check(Seen(files={"a": weights, "b": state}), "files", {})
    assert found.done and f"{2 * weights.floats:,} more" in found.says


def text_of(top_k: int, n: int, swap: bool = False) -> SimpleNamespace:
    """A text of n characters, each the likeliest, but for the last if they are swapped."""
    rows = list(np.random.default_rng().normal(size=(2 + n, CORPUS.vocab_size)))
    chosen = [row.argsort()[-1] for row in rows[2:]]
    if swap:
        chosen[-1] = rows[-1].argmin()
    settings = {"temperature": 1.0, "top_k": top_k, "top_p": 1.0}
    written = CORPUS.decode(np.array(chosen))
    return SimpleNamespace(
        corpus=CORPUS, settings=settings, prompt="To", written=written, logits=rows
    )


@pytest.mark.parametrize(
    ("text", "done", "says"),
    [
        (None, False, "press Write"),
        (text_of(2, 6), False, "top-k 2"),
        (text_of(1, 5), False, "5 of 6"),
        (text_of(1, 6, swap=True), False, "Only 5 of its 6"),
        (text_of(1, 6), True, "Each of the 6"),
    ],
)
def test_a_greedy_text_is_done_when_each_character_was_the_likeliest(text, done, says):
    found = course.check(Seen(text=text), "greedy", {"length": 6})
    assert found.done == done and says in found.says


EARLY = Diagnosis("early", "")


@pytest.mark.parametrize(
    ("verdicts", "done", "says"),
    [
        ({}, False, "Not run to the end yet: Rate too high, Tiny text"),
        ({"high": Diagnosis("divergence", "")}, False, "yet: Tiny text"),
        ({"high": EARLY, "overfit": EARLY}, False, "Rate too high shows 'Too early to tell'"),
        (
            {"high": Diagnosis("divergence", ""), "overfit": Diagnosis("fork", "")},
            True,
            "Tiny text: Overfitting fork.",
        ),
    ],
)
def test_cases_are_done_when_each_shows_what_is_wrong_with_it(verdicts, done, says):
    found = course.check(Seen(cases=verdicts), "cases", {"names": "high,overfit"})
    assert found.done == done and says in found.says


DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1 +1,2 @@\n-a\n+b\n+c\n"


def test_an_edit_is_done_once_a_run_that_had_begun_goes_on_by_it():
    run = run_of(3)
    asked = Seen(run), "edited", {}
    run.edits = [(0, DIFF)]  # it began with that
    assert "press Apply" in course.check(*asked).says
    assert not course.answer(Seen(run), "changed_at", {}, 0).done
    run.edits.append((3, DIFF))
    assert "from iteration 3 on" in course.check(*asked).says
    run.iter = 5
    found = course.check(*asked)
    assert found.done and "2 iterations" in found.says
    assert "2 lines are new and 1 are gone" in found.says
    assert course.answer(Seen(run), "changed_at", {}, 3).done
    assert not course.answer(Seen(run), "changed_at", {}, 2).done


def square(x, y, *, size):
    y[:] = np.maximum(x, 0) ** 2


def its_slope(x, dy, dx, *, size, accumulate):
    dx[:] = dy * 2 * np.maximum(x, 0) + (dx if accumulate else 0)


def test_a_kernel_is_done_when_its_derivative_is_that_of_finite_differences(monkeypatch):
    run = run_of(2)
    asked = Seen(run), "gelu", {}
    assert "still computes GELU" in course.check(*asked).says
    unchanged = course.answer(Seen(), "slope", {"at": 1.5, "within": 0.01}, 3)
    assert not unchanged.done and "still computes GELU" in unchanged.says
    monkeypatch.setitem(KERNELS, "gelu", square)
    found = course.check(*asked)
    assert not found.done and "Change the derivative too" in found.says
    monkeypatch.setitem(KERNELS, "gelu_backward", its_slope)
    assert course.check(*asked).done
    assert "let a run train" in course.check(Seen(run_of(0)), "gelu", {}).says
    x = float(np.random.default_rng().uniform(0.5, 2))
    given = {"at": x, "within": 0.001}
    assert course.answer(Seen(), "slope", given, 2 * x).done
    assert not course.answer(Seen(), "slope", given, x).done


def test_a_text_of_ones_own_is_neither_shakespeare_s_nor_characters_where_bytes_are_asked_for():
    def asked(corpus: Corpus, tokenizer: str = "bytes") -> course.Finding:
        small = GPTConfig(corpus.vocab_size, **SMALL)
        run = Run(TrainConfig(iters=2, batch_size=2), corpus, NumPyDevice(), small)
        list(train(run))
        return course.check(Seen(run), "own_text", {"iters": 2, "tokenizer": tokenizer})

    assert "learns Shakespeare" in asked(shakespeare()).says
    assert "byte-v0" in asked(CORPUS).says
    assert asked(CORPUS, "").done
    found = asked(Corpus(TEXT, "mine.txt", BYTES))
    assert found.done and "'mine.txt'" in found.says


def test_two_texts_are_done_when_each_model_knows_its_own_better():
    text = "0123456789 " * 400 + "The end, to be sure. " * 200
    corpus, plays, device = Corpus(text, "mine.txt"), shakespeare(), NumPyDevice()

    def trained_on(one: Corpus, iters: int) -> Run:
        config = TrainConfig(iters=iters, batch_size=8, lr=1e-2, warmup=5)
        run = Run(config, one, device, GPTConfig(one.vocab_size, **SMALL))
        run.sample_every = 0
        list(train(run))
        return run

    mine, theirs, fresh = trained_on(corpus, 60), trained_on(plays, 60), trained_on(corpus, 1)

    def asked(run: Run, model: Callable) -> course.Finding:
        return course.check(Seen(run, model=model), "two_texts", {"iters": 1})

    def missing(source: str):
        raise ValueError("No file is open.")

    assert "Open the tab Talk" in asked(mine, missing).says
    found = asked(mine, lambda source: (theirs.model, plays))
    assert found.done and "Each is less surprised" in found.says
    assert "of Shakespeare is left" in asked(mine, lambda source: (fresh.model, corpus)).says
    assert "knows its own text better" in asked(fresh, lambda source: (mine.model, corpus)).says


# ---- answers -------------------------------------------------------------------------------------


def test_an_answer_may_be_off_by_so_much_and_else_is_told_which_way():
    run, V, given = run_of(1), CORPUS.vocab_size, {"within": 0.01}
    assert not course.answer(Seen(), "even_guess", given, math.log(V)).done  # of no run

    def answered(value: float) -> course.Finding:
        return course.answer(Seen(run), "even_guess", given, value)

    for off in (-0.009, 0.009):
        found = answered(math.log(V) + off)
        assert found.done and f"{run.log[0].train:.4f}" in found.says
    assert answered(math.log(V) - 0.011).says.startswith("It is more than")
    assert answered(math.log(V) + 0.011).says.startswith("It is less than")
    assert not answered(math.nan).done


def test_the_entropy_of_single_characters_is_that_of_their_counts():
    p = np.array([TEXT.count(c) for c in set(TEXT)]) / len(TEXT)
    asked = Seen(run_of(0)), "letter_counts", {"within": 1e-6}
    assert course.answer(*asked, -(p * np.log(p)).sum()).done
    assert not course.answer(*asked, math.log(CORPUS.vocab_size)).done


@pytest.mark.parametrize(
    ("twins", "value", "done"),
    [(None, 0, False), (SAME, 0, False), (OTHER, 1, False), (OTHER, 0, True)],
)
def test_two_seeds_part_where_the_twin_says(twins, value, done):
    assert course.answer(Seen(twins=twins), "parted", {}, value).done == done


def test_shannon_s_lower_bound_is_told_in_nats():
    given = {"within": 0.005}
    assert course.answer(Seen(), "lowest_english", given, 0.6 * math.log(2)).done
    assert not course.answer(Seen(), "lowest_english", given, 0.6).done


def test_the_numbers_of_a_state_take_three_times_those_of_the_weights():
    run = run_of(1)
    state, n = state_of(run), run.checkpoint().weights.nbytes
    assert not course.answer(Seen(), "state_bytes", {}, 3 * n).done
    assert not course.answer(Seen(files={"b": state}), "state_bytes", {}, n).done
    assert course.answer(Seen(files={"b": state}), "state_bytes", {}, 3 * n).done


# ---- the page ------------------------------------------------------------------------------------


def test_the_page_s_own_work_is_what_is_checked():
    page = Page(CORPUS)

    def checked(name: str, value: float | None = None, **given: float) -> dict:
        page.tell("check", id=len(page.posted), name=name, given=given, value=value)
        return page.last("checked")

    assert not checked("trained", iters=2)["done"]
    page.tell("start", seed="hamlet", iters=2, batchSize=2, lr=3e-4)
    page.finish()
    asked = len(page.posted)
    found = checked("trained", iters=2)
    assert found["done"] and found["id"] == asked
    assert not checked("twin")["done"]
    page.tell("twin", seeds=["a", "a"], iters=1)
    page.finish()
    assert checked("twin")["done"] and not checked("parted", 0.0)["done"]
    page.tell("inspect_run", slot="a")
    assert "No state" in checked("files")["says"]
    wrong = checked("nothing", 3.0)
    assert not wrong["done"] and "no 'nothing'" in wrong["says"]


def test_the_page_s_report_of_a_lesson_has_the_answers_and_the_run_that_there_is():
    page = Page(CORPUS)
    asked = {"number": 3, "title": "A <seed>", "answers": [["Answer", "0"]], "page": "https://x/"}
    page.tell("lesson_report", **asked)
    assert "There was no run when this report was made" in page.last("file")["bytes"].decode()
    page.tell("start", seed="hamlet", iters=2, batchSize=2, lr=3e-4)
    page.finish()
    page.tell("lesson_report", **asked)
    file = page.last("file")
    assert (file["name"], file["mime"]) == ("groundling-lesson-3.html", "text/html")
    assert "<h1>Lesson 3: A &lt;seed&gt;</h1>" in file["bytes"].decode()
    assert "<dt>Answer</dt><dd>0</dd>" in file["bytes"].decode()
    assert report.loads(file["bytes"]).config.seed == "hamlet"
