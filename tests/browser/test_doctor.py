"""The doctor's tab and the levels of the loss curve in a real Chromium, numbers read from the page.

The cases run at the fewest iterations that they may have; at their usual length they run natively,
in tests/unit/test_doctor.py.
"""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

HERE = Path(__file__).parent
AXE = HERE.parents[1] / "site/node_modules/axe-core/axe.min.js"
BOOT_MS, CASE_MS = 60_000, 240_000


def ready(page: Page, url: str) -> None:
    page.goto(url)
    runner = page.locator(".runner")
    expect(runner).to_have_attribute("data-phase", "ready", timeout=BOOT_MS)


def evidence(page: Page, scope: str) -> dict[str, str]:
    rows = page.locator(f"{scope} .diagnosis dl > div").all_inner_texts()
    return dict(re.split(r"\s*\n\s*", row.strip(), maxsplit=1) for row in rows)


def number(text: str) -> float:
    return float(re.match(r"[\d.,]+", text)[0].replace(",", ""))


def test_each_case_shows_on_the_gpu_what_it_should_and_the_levels_are_told(
    page: Page, site_url: str
) -> None:
    ready(page, site_url)

    # The levels on the main curve.
    page.get_by_label("How low can it go?").check()
    levels = page.locator(".levels dt").all_inner_texts()
    assert levels == [
        "ln 65 4.17",
        "letter counts 3.31",
        "letter pairs 2.45",
        "Shannon's English 0.42 to 0.90",
    ]
    expect(page.locator("[data-level=english] dd")).to_contain_text("0.6 and 1.3 bits a letter")

    # The cases, one after the other, each with its own verdict.
    page.get_by_role("tab", name="Doctor", exact=True).click()
    buttons = page.locator(".doctor .cases button")
    expect(buttons).to_have_count(6)
    page.get_by_label("Case iterations", exact=True).fill("5")
    expect(page.get_by_role("button", name="Run this case")).to_be_disabled()
    expect(page.locator("#case-hint")).to_have_text("Iterations: a whole number from 60 to 1,000.")
    page.get_by_label("Case iterations", exact=True).fill("60")

    page.get_by_role("button", name="Run all six").click()
    expect(buttons.first).to_contain_text("running")
    expected = {
        "clean": "clean",
        "high": "divergence",
        "catastrophe": "divergence",
        "dead": "dead",
        "overfit": "fork",
        "warmup": "spike",
    }
    for at, kind in enumerate(expected.values()):
        expect(buttons.nth(at)).to_have_attribute("data-kind", kind, timeout=CASE_MS)
    found = {}
    for at, name in enumerate(expected):
        buttons.nth(at).click()
        expect(page.locator(f"[data-case={name}] .status")).to_have_text("All 60 iterations.")
        found[name] = evidence(page, f"[data-case={name}]")
        assert 4.1 < number(found[name].get("Start", "4.19")) < 4.3
    assert number(found["clean"]["Now"]) < 3
    assert number(found["high"]["Peak"]) > 60
    assert number(found["catastrophe"]["Peak"]) > 250
    assert number(found["dead"]["All losses within"]) < 0.06
    assert number(found["overfit"]["Gap"]) > 2
    assert number(found["warmup"]["Top"]) > 5

    case = page.locator("[data-case=warmup]")
    # By keys, the curve tells its losses.
    curve = case.get_by_role("slider")
    curve.press("Home")
    assert curve.get_attribute("aria-valuetext").startswith("iteration 0: training 4.19")

    # The fix goes into the fields, where another rate was.
    page.get_by_label("Peak learning rate", exact=True).fill("10")
    expect(page.locator("#fields-note")).not_to_have_attribute("data-wrong", "true")
    case.get_by_role("button", name="Put into the fields").click()
    expect(page.get_by_label("Peak learning rate", exact=True)).to_have_value("0.0003")
    page.get_by_label("Peak learning rate", exact=True).fill("11")
    expect(page.locator("#fields-note")).to_contain_text("From 0.000000001 to 10.")

    page.add_script_tag(path=str(AXE))
    result = page.evaluate(
        "() => axe.run('#view-doctor').then((r) => r.violations.map((v) => v.id))"
    )
    assert result == []

    # Stop ends one early.
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(case).to_have_attribute("data-phase", "stopped", timeout=CASE_MS)


def test_the_doctor_reads_the_run_as_it_goes_and_stays_out_of_its_way(
    page: Page, site_url: str
) -> None:
    ready(page, site_url)
    page.get_by_label("Iterations", exact=True).fill("400")
    page.get_by_label("Batch size", exact=True).fill("8")
    page.get_by_role("tab", name="Doctor", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    own = page.locator(".doctor .own .diagnosis")
    expect(own).to_have_attribute("data-kind", "early", timeout=CASE_MS)
    expect(page.get_by_role("button", name="Run this case")).to_be_disabled()
    expect(page.locator("#case-hint")).to_contain_text("A run is training. Pause it first")
    expect(own).to_have_attribute("data-kind", "clean", timeout=CASE_MS)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".runner")).to_have_attribute("data-phase", "paused", timeout=CASE_MS)
    assert number(evidence(page, ".own")["Start"]) > 4.1
    assert number(evidence(page, ".own")["Now"]) < 4.1
