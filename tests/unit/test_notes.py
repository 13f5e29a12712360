"""The notes on the code (site/notes, read by site/notes.py): each still quotes what it is about."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from groundling import sources
from groundling.config import TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.engine.fuse import JOINED
from groundling.runs.run import Run
from groundling.train import train

pytestmark = pytest.mark.native  # site/ is not in the page's Python

SITE = Path(__file__).parents[2] / "site"
FACE = [f"py_src/groundling/{name}.py" for name in ("train", "model", "optim", "sampling")]
LANGUAGES = sorted(path.name for path in (SITE / "notes").glob("*"))


@cache
def reader():
    """site/notes.py as a module."""
    spec = importlib.util.spec_from_file_location("notes_reader", SITE / "notes.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SITE)
        spec.loader.exec_module(module)
    return module


def kernels_of_a_step() -> set[str]:
    """The kernels of a training step, also those that share a dispatch."""
    device = NumPyDevice()
    run = Run(TrainConfig(batch_size=1, eval_interval=10**6), Corpus("To be or not." * 99), device)
    for _ in train(run, stop_at=2):
        pass
    return {name for c in device.replayed.commands for name in c.kernel.split(JOINED)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_note_quotes_a_piece_of_one_line_that_occurs_once_in_its_file(language):
    for path, notes in reader().notes()[language].items():
        text, at = sources.original(path), -1
        for note in notes:
            assert text.count(note["quote"]) == 1, (path, note["quote"])
            assert text.index(note["quote"]) > at, f"{path}: {note['quote']} is out of order"
            at = text.index(note["quote"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_face_and_every_kernel_of_a_step_have_notes_short_enough_to_stand_in_code(language):
    notes = reader().notes()[language]
    assert set(notes) == {*FACE, *(f"shaders/{name}.wgsl" for name in kernels_of_a_step())}
    for path, own in notes.items():
        assert (6 <= len(own) <= 13) if path in FACE else (2 <= len(own) <= 5), path
        for note in own:
            parts = [part for part in note["text"] if isinstance(part, dict)]
            plain = [part for part in note["text"] if isinstance(part, str)]
            assert {part["as"] for part in parts} <= {"code", "strong"}, (path, note["quote"])
            length = sum(map(len, plain)) + sum(len(part["text"]) for part in parts)
            assert 40 < length <= 420, (path, note["quote"])


def test_notes_of_another_form_are_refused():
    read = reader().notes_on
    assert read("## `a = 1`\n\nIt is `1`.\n") == [
        {"quote": "a = 1", "text": ["It is ", {"as": "code", "text": "1", "to": ""}, "."]}
    ]
    for text, said in (
        ("", "should have headings"),
        ("Before\n\n## `a`\n\nText.\n", "should have headings"),
        ("## `a`\n\n## `b`\n\nText.\n", "under `a` there should be one paragraph"),
        ("## `a`\n\nOne.\n\nTwo.\n", "under `a` there should be one paragraph"),
    ):
        with pytest.raises(reader().LessonError, match=said):
            read(text)
