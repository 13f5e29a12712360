"""The doctor's tab and the levels of the loss curve in a real Chromium, numbers read from the page.

A step of a case takes from a tenth of a second on here; the other cases run on NumPy, natively, in
tests/unit/test_doctor.py.
"""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

HERE = Path(__file__).parent
AXE = HERE.parents[1] / "site/node_modules/axe-core/axe.min.js"
BOOT_MS, CASE_MS = 60_000, 110_000


def ready(page: Page, url: str) -> None:
    page.goto(url)
    runner = page.locator(".runner")
    expect(runner).to_have_attribute("data-phase", "ready", timeout=BOOT_MS)


def evidence(page: Page, scope: str) -> dict[str, str]:
    rows = page.locator(f"{scope} .diagnosis dl > div").all_inner_texts()
    return dict(re.split(r"\s*\n\s*", row.strip(), maxsplit=1) for row in rows)


def number(text: str) -> float:
    return float(re.match(r"[\d.,]+", text)[0].replace(",", ""))


def test_cases_blow_up_and_fork_on_the_gpu_too_and_the_levels_are_told(
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

    # Two cases, one after the other, each with its own verdict.
    page.get_by_role("tab", name="Doctor", exact=True).click()
    buttons = page.locator(".doctor .cases button")
    expect(buttons).to_have_count(6)
    page.get_by_label("Case iterations", exact=True).fill("5")
    expect(page.get_by_role("button", name="Run this case")).to_be_disabled()
    expect(page.locator("#case-hint")).to_have_text("Iterations: a whole number from 60 to 1,000.")
    page.get_by_label("Case iterations", exact=True).fill("60")

    buttons.filter(has_text="Catastrophe").click()
    page.get_by_role("button", name="Run this case").click()
    expect(buttons.filter(has_text="Catastrophe")).to_contain_text("running")
    case = page.locator("[data-case=catastrophe]")
    expect(case).to_have_attribute("data-phase", "done", timeout=CASE_MS)
    expect(case.locator(".diagnosis")).to_have_attribute("data-kind", "divergence")
    found = evidence(page, "[data-case=catastrophe]")
    assert number(found["Start"]) == 4.19 and number(found["Peak"]) > 250
    count, of = map(int, re.match(r"(\d+) of (\d+)", found["Above the start"]).groups())
    assert of == 60 and count > 50

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

    # Stop ends one early; it is told what its few losses show.
    buttons.filter(has_text="Tiny text").click()
    page.get_by_role("button", name="Run this case").click()
    tiny = page.locator("[data-case=overfit]")
    expect(tiny.locator("progress")).not_to_have_js_property("value", 0, timeout=CASE_MS)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(tiny).to_have_attribute("data-phase", "stopped", timeout=CASE_MS)
    expect(tiny.locator(".diagnosis h3")).to_be_visible()


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
