"""Workers that are killed at random moments of boot, training, saving, loading, pausing and
applying, in a real Chromium: the run goes on from its last copy, to the same bytes, and the page
says so.

It takes long, and is run by itself:

    python -m pytest -s -o python_functions=soak_* tests/browser/soak_kills.py
"""

import os
import random
import re

from driving import (
    WAIT_MS,
    button,
    fill,
    hold_workers,
    iteration,
    open_page,
    press,
    wait_for,
    wait_until_kept,
)
from playwright.sync_api import Page, expect
from test_state import assert_same, load, save_state
from test_stop import TRAIN, write

from groundling.runs import statefile

KILLS = int(os.environ.get("GROUNDLING_KILLS", 50))
MOMENTS = ("training", "saving", "loading", "applying", "pausing")
KILL = "workers.at(-1).terminate()"


def phase(page: Page) -> str:
    return page.locator("[data-phase]").get_attribute("data-phase")


def rest(page: Page, phases: str) -> None:
    """Wait for one of these phases."""
    expect(page.locator("[data-phase]")).to_have_attribute(
        "data-phase", re.compile(phases), timeout=2 * WAIT_MS
    )


def kept_at(page: Page) -> int:
    """The iteration at which the page last said that the run is kept; 0 if it has not."""
    told = page.get_by_role("main").get_by_text(re.compile("Kept in this browser at iteration"))
    found = re.search(r"iteration ([\d,]+)", "".join(told.all_inner_texts()))
    return int(found[1].replace(",", "")) if found else 0


def begin(page: Page) -> None:
    fill(page, Iterations="800", Batch_size="1")
    press(page, "Start")


def go_on(page: Page, kept: int) -> None:
    """Continue from the copy that is offered, which is no older than what was kept for certain; or
    begin, where nothing was kept.
    """
    wait_for(page, "ready", 2 * WAIT_MS)
    offered = page.get_by_role("button", name=re.compile("^Continue from iteration"))
    if not kept and not offered.count():
        begin(page)
    else:
        expect(offered).to_be_visible()
        assert int(offered.inner_text().split()[-1].replace(",", "")) >= kept
        offered.click()
        agreed = button(page, "Go on with it")  # where the copy is of another edit
        begun = page.locator("[data-phase]:not([data-phase=ready])")
        expect(begun.or_(agreed).first).to_be_visible()
        if agreed.count():
            agreed.click()
    rest(page, "training|paused|done")
    if phase(page) == "paused":
        press(page, "Resume")


def paused(page: Page) -> int:
    """Pause, if it trains, and wait until that iteration is kept: which."""
    if phase(page) == "training":
        press(page, "Pause")
    rest(page, "paused|done")
    at = iteration(page)
    wait_until_kept(page, at)
    return at


def soak_a_worker_killed_at_any_moment_loses_only_what_came_after_the_last_copy(
    page: Page, site_url: str
):
    hold_workers(page)
    open_page(page, site_url)
    begin(page)
    wait_for(page, "done", 5 * WAIT_MS)
    straight = statefile.loads(save_state(page))
    press(page, "Reset")
    wait_for(page, "ready")
    if button(page, "Discard").count():
        press(page, "Discard")
    page.reload()

    chance, kept = random.Random(KILLS), 0
    for number in range(KILLS):
        go_on(page, kept)
        moment = MOMENTS[number % len(MOMENTS)]
        if moment in ("saving", "loading"):
            kept = paused(page)
        if moment == "loading":
            load(page, "mine.state", save_state(page))
        elif moment == "saving":
            press(page, "Save state")
        elif moment == "applying":
            write(page, f"{TRAIN}\n# {number}\n")
            press(page, "Apply")
        elif moment == "pausing" and phase(page) == "training":
            press(page, "Pause")
        page.wait_for_timeout(chance.randrange(400 if kept else 1500))
        kept = max(kept, kept_at(page))
        page.evaluate(KILL)
        press(page, "Pause" if phase(page) == "training" else "Reset")
        ends = button(page, "End Python")
        expect(page.locator("[data-phase=booting]").or_(ends)).to_be_visible()
        if ends.count():
            ends.click()
        wait_for(page, "booting")
        told = page.get_by_role("main").get_by_text("Python did not answer. It was ended")
        expect(told).to_be_visible()
        if chance.random() < 0.3:  # once more, as it boots; of that the page is not told
            page.wait_for_timeout(chance.randrange(3000))
            page.evaluate(KILL)
            page.reload()
            moment += " and booting"
        print(f"{moment} at {kept}", flush=True)
    go_on(page, kept)
    wait_for(page, "done", 5 * WAIT_MS)
    assert_same(save_state(page), straight)
