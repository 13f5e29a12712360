"""The page's projects (py_src/browser/project_view.py): written and read, and nothing run."""

import pytest
from paging import Page
from run_messages import train_config

from groundling import sources
from groundling.config import TrainConfig
from groundling.edits import live, project

SETTINGS = {"seed": "hamlet", "iters": 12, "batchSize": 4, "lr": 1e-3}
LOUD = {"py_src/groundling/train.py": "raise SystemExit('it ran')\n"}


@pytest.fixture(scope="module")
def page():
    return Page()


def test_a_project_goes_out_as_a_zip_and_comes_back_unrun(page):
    file = page.tell("zip", name="My <b>edits</b>", files=LOUD, **SETTINGS)
    assert (file["type"], file["name"], file["mime"]) == (
        "file",
        "My-b-edits-b.zip",
        "application/zip",
    )
    modules = live.loaded()
    told = page.tell("unzip", name="download.zip", bytes=file["bytes"])
    assert told == {
        "type": "project",
        "origin": "zip",
        "name": "My <b>edits</b>",
        "files": LOUD,
        "settings": SETTINGS,
        "problem": "",
    }
    assert live.loaded() == modules and sources.overlay == {}


def test_a_project_goes_out_as_a_link_and_comes_back_unrun(page):
    shared = page.tell("share_code", name="Edits", files=LOUD, **SETTINGS)
    assert shared["problem"] == "" and shared["text"].startswith("code=")
    told = page.tell("code_claim", text=f"https://example.org/#{shared['text']}")
    assert (told["origin"], told["files"], told["settings"]) == ("link", LOUD, SETTINGS)
    assert sources.overlay == {}


@pytest.mark.parametrize(
    ("type", "values", "why"),
    [
        ("code_claim", {"text": "code=<script>alert(1)</script>"}, "has '<' at character 0"),
        ("code_claim", {"text": "code=" + "A" * 10**6}, "none has more than 16,384"),
        ("unzip", {"name": "x.zip", "bytes": b"PK"}, "not a whole .zip"),
    ],
)
def test_what_is_no_project_is_told_in_a_sentence(page, type, values, why):
    told = page.tell(type, **values)
    assert told["type"] == "project" and why in told["problem"]
    assert told["files"] == {} and train_config(told["settings"], TrainConfig())


def test_a_project_that_cannot_be_is_an_error_or_a_problem(page):
    assert page.tell("zip", name="", files={}, **SETTINGS)["type"] == "error"
    assert page.tell("zip", name="x", files={"../x": ""}, **SETTINGS)["type"] == "error"
    problem = page.tell("share_code", name="x", files={"../x": ""}, **SETTINGS)["problem"]
    assert "cannot be edited" in problem


def test_a_project_says_which_library_it_edits(page):
    page.tell(
        "apply",
        files={"py_src/groundling/optim.py": sources.text("py_src/groundling/optim.py") + "\n"},
    )
    try:
        file = page.tell("zip", name="x", files={}, **SETTINGS)
    finally:
        page.tell("apply", files={})
    from groundling.sources import code_hash

    assert project.from_zip(file["bytes"]).code == code_hash()
