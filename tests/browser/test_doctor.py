"""The doctor's tab and the levels of the loss curve in a real Chromium, numbers read from the page.

The model of the cases has one layer here; tests/unit/test_doctor.py runs them with all.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from driving import as_soon_as, fill, open_page, pressing
from playwright.sync_api import Page, expect

from groundling import sources

HERE = Path(__file__).parent
CONFIG = "py_src/groundling/config.py"


KINDS = {1: ("high", "divergence"), 4: ("overfit", "fork"), 5: ("warmup", "spike")}
"""Cases by their place, and what each must be found to be; tests/unit runs all six."""


def examine(page: Page, at: int, name: str, kind: str) -> dict[str, str]:
    """Run a case, and give what gave it away."""
    page.locator(".doctor .cases button").nth(at).click()
    page.get_by_role("button", name="Run this case").click()
    case = page.locator(f"[data-case={name}]")
    expect(case).to_have_attribute("data-phase", "done")
    expect(case.locator(".diagnosis")).to_have_attribute("data-kind", kind)
    return evidence(page, f"[data-case={name}]")


def evidence(page: Page, scope: str) -> dict[str, str]:
    rows = page.locator(f"{scope} .diagnosis dl > div").all_inner_texts()
    return dict(re.split(r"\s*\n\s*", row.strip(), maxsplit=1) for row in rows)


def number(text: str) -> float:
    return float(re.match(r"[\d.,]+", text)[0].replace(",", ""))


def test_cases_show_what_they_should_and_the_levels_are_told(
    page: Page, site_url: str, axe: Callable
) -> None:
    """With a model of one layer, which is code that the reader may have put in force."""
    smaller = {CONFIG: sources.original(CONFIG).replace("n_layer: int = 4", "n_layer: int = 1")}
    page.add_init_script(
        "localStorage.setItem('groundling-project', 'Small');"
        f"localStorage.setItem('groundling-project:Small', {json.dumps(json.dumps(smaller))});"
    )
    open_page(page, site_url)
    fill(page, Iterations="1", Batch_size="8")
    page.get_by_role("button", name="Start", exact=True).click()
    runner = page.locator(".runner")
    expect(runner).to_have_attribute("data-phase", "done")
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(runner).to_have_attribute("data-phase", "ready")

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

    found = {case[0]: examine(page, at, *case) for at, case in KINDS.items()}
    assert number(found["high"]["Peak"]) > 40
    assert number(found["overfit"]["Gap"]) > 1
    assert number(found["warmup"]["Top"]) > 5

    # One of more iterations is stopped on its way.
    page.get_by_label("Case iterations", exact=True).fill("1000")
    page.locator(".doctor .cases button").nth(4).click()
    longer = page.locator("[data-case=overfit]")
    longer.get_by_role("button", name="Run again", exact=True).click()
    status = "document.querySelector('[data-case=overfit] .status').textContent"
    as_soon_as(page, f"{status}.includes('of 1,000')", pressing("Stop"))
    expect(longer).to_have_attribute("data-phase", "stopped")

    page.locator(".doctor .cases button").nth(5).click()
    case = page.locator("[data-case=warmup]")
    # By keys, the curve tells its losses.
    curve = case.get_by_role("slider")
    curve.press("Home")
    told = re.compile("^iteration 0: training 4.18")
    expect(curve).to_have_attribute("aria-valuetext", told)

    # The fix sets the rate in the fields, where another was; and the warm-up, which has none.
    page.get_by_role("tab", name="Text and model").click()
    text = page.locator("#view-text")
    text.get_by_text("Training", exact=True).click()
    text.get_by_label("Warm-up", exact=True).fill("0")
    text.get_by_role("button", name="Use this model").click()
    expect(text.get_by_role("button", name="In use")).to_be_visible()
    rate = page.locator("#field-lr")  # the form has one, too
    rate.fill("10")
    expect(page.locator("#fields-note")).not_to_have_attribute("data-wrong", "true")
    page.get_by_role("tab", name="Doctor", exact=True).click()
    case.get_by_role("button", name="Set it so").click()
    expect(rate).to_have_value("0.0003")
    expect(case.get_by_role("button", name="Set", exact=True)).to_be_disabled()
    expect(text.get_by_label("Warm-up", exact=True)).to_have_value("100")
    rate.fill("1001")
    expect(page.locator("#fields-note")).to_contain_text("From 0 to 1,000.")
    axe("cases", "#view-doctor")


TELL_KINDS = """() => {
  globalThis.kinds = [];
  const look = () => {
    const kind = document.querySelector(".doctor .own .diagnosis")?.dataset.kind ?? "";
    if (kind !== kinds.at(-1)) kinds.push(kind);
  };
  const all = { subtree: true, childList: true, attributes: true };
  new MutationObserver(look).observe(document.querySelector(".doctor"), all);
}"""


def test_the_doctor_reads_the_run_as_it_goes_and_stays_out_of_its_way(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    fill(page, Iterations="100000", Batch_size="8")
    page.get_by_role("tab", name="Doctor", exact=True).click()
    page.evaluate(TELL_KINDS)
    page.get_by_role("button", name="Start", exact=True).click()
    own = page.locator(".doctor .own .diagnosis")
    expect(own).to_be_visible()
    expect(page.get_by_role("button", name="Run this case")).to_be_disabled()
    expect(page.locator("#case-hint")).to_contain_text("A run is training. Pause it first")
    expect(own).to_have_attribute("data-kind", "clean")
    told = [kind for kind in page.evaluate("kinds") if kind]
    assert told[0] == "early"
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".runner")).to_have_attribute("data-phase", "paused")
    assert number(evidence(page, ".own")["Start"]) > 4.1
    assert number(evidence(page, ".own")["Now"]) < 4.1
