"""The types of messages (py_src/browser/messages), and what is made of them."""

import importlib.util
from pathlib import Path

import paging
import pytest
import typed

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "site/protocol.py"
TO_ITSELF = {"lost", "boundary"}  # what the worker tells the session, beside the page's commands

pytestmark = pytest.mark.native


def obeyed(page: paging.Page) -> set[str]:
    """The commands that the session and its views have a method for."""
    parts = [page.session, *page.session.views]
    names = {name for part in parts for name in dir(part)}
    return {name.lstrip("_").removeprefix("do_") for name in names if name.lstrip("_")[:3] == "do_"}


def test_every_command_is_obeyed_and_every_one_that_is_obeyed_has_a_type():
    page = paging.Page()
    assert obeyed(page) - TO_ITSELF == set(typed.COMMANDS) - {"ping"}  # which the worker answers
    assert set(page.session.doers) <= set(typed.COMMANDS)


def test_the_page_s_protocol_is_the_one_that_is_written_now(monkeypatch):
    spec = importlib.util.spec_from_file_location("protocol", GENERATOR)
    protocol = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(protocol)
    assert protocol.OUT.read_text(encoding="utf-8") == protocol.protocol()
