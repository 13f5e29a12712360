"""The page's twin in a real Chromium: one seed makes one file twice, another seed another.

A step of a twin is two of a run, and here each takes about a second: twins are short.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from driving import fill, hold_workers, open_page, pause, press, pressing
from playwright.sync_api import Locator, Page, expect

HERE = Path(__file__).parent
TWIN_MS = 90_000


def open_twin(page: Page, url: str) -> Locator:
    """The section, open, on a page that is ready."""
    open_page(page, url)
    page.get_by_role("tab", name="Twin").click()
    return page.get_by_role("tabpanel", name="Twin")


def wait_for(section: Locator, verdict: str) -> None:
    expect(section.locator(".body")).to_have_attribute(
        "data-twin-verdict", verdict, timeout=TWIN_MS
    )


def hashes(section: Locator) -> list[str]:
    """SHA-256 of both files, then of both weights."""
    found = section.locator(".hashes dd").all_inner_texts()
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in found)
    return found


def test_enter_begins_a_twin_but_not_where_it_ends_the_composition_of_a_character(
    page: Page, site_url: str
) -> None:
    hold_workers(page)
    open_twin(page, site_url)
    page.evaluate(
        """() => {
          globalThis.told = [];
          const [worker] = workers, post = worker.postMessage;
          worker.postMessage = (message, ...more) => {
            told.push(message.type);
            post.call(worker, message, ...more);
          };
        }"""
    )
    seed = page.get_by_label("Seed A", exact=True)
    enter = {"key": "Enter", "bubbles": True}
    for composing in ({"isComposing": True}, {"keyCode": 229}):
        seed.dispatch_event("keydown", enter | composing)
    assert "twin" not in page.evaluate("told")
    seed.press("Enter")
    assert "twin" in page.evaluate("told")


def test_one_seed_makes_the_same_bytes_and_a_character_more_makes_others(
    page: Page, site_url: str
) -> None:
    section = open_twin(page, site_url)
    expect(page.get_by_label("Seed A", exact=True)).to_have_value("hamlet")
    expect(page.get_by_label("Seed B", exact=True)).to_have_value("hamlet")
    expect(page.get_by_label("Twin iterations", exact=True)).to_have_value("40")
    fill(page, Twin_iterations="2")
    press(page, "Run twin")
    wait_for(section, "identical")
    file_a, file_b, weights_a, weights_b = same = hashes(section)
    assert file_a == file_b and weights_a == weights_b and file_a != weights_a
    said = "Byte-identical: both runs of 'hamlet' made the same file in 2 iterations."
    expect(section.locator(".verdict")).to_have_text(said)

    for name, said_hash in (("Save A.bin", file_a), ("Save B.bin", file_b)):
        with page.expect_download() as download:
            press(page, name)
        data = Path(download.value.path()).read_bytes()
        assert hashlib.sha256(data).hexdigest() == said_hash
        assert hashlib.sha256(data[512:]).hexdigest() == weights_a
        assert download.value.suggested_filename.startswith(f"twin-{name[5]}-tinker-shakespeare-")

    # The verdict is of the seeds that ran, whatever the fields hold now.
    fill(page, Seed_B="hamllet")
    expect(section.locator(".verdict")).to_have_text(said)
    press(page, "Run twin")
    wait_for(section, "differ")
    expect(section.locator(".verdict")).to_have_text(
        "They differ from iter 0 on: 'hamlet' and 'hamllet' are two runs."
    )
    other = hashes(section)
    assert len(set(other)) == 4
    assert other[2] == weights_a and same[3] != other[3]  # a twin is a run like any other
    streams = section.locator(".feeds li").all_inner_texts()
    assert len(streams) == 3
    for word, text in zip(("weights", "batches", "dropout"), streams, strict=True):
        assert word in text and "'hamlet" in text

    # By keys, the curve tells the losses: another at iteration 0.
    curve = section.get_by_role("slider")
    curve.press("Home")
    told = curve.get_attribute("aria-valuetext")
    a, b = re.fullmatch(r"iteration 0: hamlet ([\d.]+), hamllet ([\d.]+)", told).groups()
    assert a != b and 4 < float(a) < 4.5


def test_a_paused_run_is_left_as_it_is_and_a_running_one_is_not_disturbed(
    page: Page, site_url: str
) -> None:
    section = open_twin(page, site_url)

    def saved() -> bytes:
        with page.expect_download() as download:
            press(page, "Save weights")
        return Path(download.value.path()).read_bytes()[512:]

    fill(page, Batch_size="8")
    press(page, "Start")
    run_twin = page.get_by_role("button", name="Run twin", exact=True)
    expect(run_twin).to_be_disabled()
    expect(section.get_by_text("Pause it first")).to_be_visible()
    press(page, "Pause")
    expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "paused", timeout=TWIN_MS)
    before, at = saved(), page.locator('[data-readout="iter"]').inner_text()
    fill(page, Twin_iterations="900")
    press(page, "Run twin")
    expect(section.get_by_text(re.compile("^[1-9].* of 900"))).to_be_visible(timeout=TWIN_MS)
    press(page, "Stop twin")
    wait_for(section, "stopped")
    expect(section.get_by_text("Unfinished twins get no verdict")).to_be_visible()
    expect(section.locator(".hashes")).to_have_count(0)
    assert page.locator('[data-readout="iter"]').inner_text() == at
    assert saved() == before
    fill(page, Twin_iterations="0")
    expect(run_twin).to_be_disabled()
    expect(section.get_by_text("a whole number from 1")).to_be_visible()


def test_what_is_asked_for_as_the_run_goes_on_does_not_begin_and_can_be_asked_for_again(
    page: Page, site_url: str
) -> None:
    """Of all tabs with work beside the run: Resume and another button, before Python is heard."""
    open_twin(page, site_url)
    fill(page, Iterations="100000", Batch_size="2")
    press(page, "Start")
    for tab, name in (
        ("Twin", "Run twin"),
        ("Speed", "Measure"),
        ("Runs", "Run sweep"),
        ("Doctor", "Run this case"),
    ):
        pause(page, 1)
        page.get_by_role("tab", name=tab).click()
        asked = page.get_by_role("tabpanel", name=tab).get_by_role("button", name=name, exact=True)
        expect(asked).to_be_enabled()
        page.evaluate(f"{pressing('Resume')}; {pressing(name)}")
        expect(asked).to_be_disabled()  # not to be stopped: it does not run


def test_axe_finds_nothing_in_the_twin(page: Page, site_url: str, axe: Callable) -> None:
    """Empty, and with a verdict."""
    section = open_twin(page, site_url)
    fill(page, Seed_B="hamllet " * 12, Twin_iterations="1")
    axe("empty", "#views")
    press(page, "Run twin")
    wait_for(section, "differ")
    axe("a verdict", "#views")
