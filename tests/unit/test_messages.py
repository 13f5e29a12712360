"""The types of messages (py_src/browser/messages), and the page's types that are made of them."""

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import wire
from paging import Page
from typed import COMMANDS, REPORTS, faults

from groundling.edits.recipes import RECIPES

pytestmark = pytest.mark.native

GENERATOR = Path(__file__).parents[2] / "site/protocol.py"
TO_ITSELF = {"lost", "boundary"}  # what the worker tells the session, beside the page's commands


def test_the_session_and_its_views_obey_every_command_and_nothing_else():
    page = Page()
    parts = [page.session, *page.session.views]
    methods = {name.lstrip("_") for part in parts for name in dir(part)}
    obeyed = {name[3:] for name in methods if name.startswith("do_")}
    assert obeyed - TO_ITSELF == set(COMMANDS) - {"ping"}  # which worker.ts answers
    assert set(page.session.doers) <= obeyed


def test_the_page_s_types_are_those_of_today():
    spec = importlib.util.spec_from_file_location("protocol", GENERATOR)
    protocol = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(protocol)
    assert protocol.OUT.read_text(encoding="utf-8") == protocol.protocol(), "python build.py build"


def test_the_recipes_are_of_their_type():
    told = {"type": "recipes", "recipes": [asdict(recipe) for recipe in RECIPES]}
    assert not list(faults(json.loads(wire.text_of(told)), REPORTS["recipes"], "recipes"))


LEVEL = {"name": "a", "label": "b", "nats": 1, "to": None, "says": "c"}


@pytest.mark.parametrize(
    ("level", "fault"),
    [
        (LEVEL | {"nats": "1"}, "levels.levels[0].nats is '1'"),
        (LEVEL | {"nats": True}, "levels.levels[0].nats is True"),
        (LEVEL | {"to": "2"}, "levels.levels[0].to is '2'"),
        (LEVEL | {"other": 1}, "levels.levels[0] may not have other"),
        ({"name": "a"} | dict.fromkeys(("label", "nats", "to"), 1), "has no says"),
        ([LEVEL], "levels.levels[0] is [{"),
    ],
)
def test_what_is_missing_or_of_another_type_is_found(level: object, fault: str):
    assert not list(faults({"type": "levels", "levels": [LEVEL]}, REPORTS["levels"], "levels"))
    found = list(faults({"type": "levels", "levels": [level]}, REPORTS["levels"], "levels"))
    assert any(fault in one for one in found), found
