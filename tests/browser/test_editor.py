"""The editor in a real Chromium: the code that trains, changed while it trains."""

import re

from playwright.sync_api import Locator, Page, Route, expect

BOOT_MS = 60_000  # on two cores that other work may share
LIBRARY = "py_src/groundling/"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def press(page: Page, name: str) -> None:
    button(page, name).click()


def wait_for(page: Page, phase: str, timeout: float = BOOT_MS) -> None:
    expect(page.locator("[data-phase]")).to_have_attribute("data-phase", phase, timeout=timeout)


def open_page(page: Page, url: str) -> None:
    """On NumPy, which is the faster here."""

    def patch(route: Route) -> None:
        response = route.fetch()
        before = "delete WorkerNavigator.prototype.gpu;"
        route.fulfill(response=response, body=before + response.text())

    page.route("**/worker.js", patch)
    page.goto(url)
    wait_for(page, "ready")


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="to edit")


def standing(page: Page) -> Locator:
    return page.locator(".standing")


def show(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Files").get_by_role(
        "button", name=re.compile(rf"^{re.escape(name)}\s*(,|$)")
    ).click()
    expect(editor(page)).to_have_attribute("aria-label", f"{name}, to edit")


def type_at_the_top(page: Page, text: str) -> None:
    editor(page).click()
    page.keyboard.press("Control+Home")
    page.keyboard.type(text)


def kept_edits(page: Page) -> dict[str, str]:
    return page.evaluate(
        "JSON.parse(localStorage.getItem('groundling-project:'"
        " + localStorage.getItem('groundling-project')) ?? '{}')"
    )


# ---- the files, and what is typed ----------------------------------------------------------------


def test_the_files_that_run_can_be_edited_compared_reverted_and_left(
    page: Page, site_url: str
) -> None:
    """train.py first; each file keeps its own undo; Esc-Tab leaves; edits survive a reload."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    open_page(page, site_url)
    expect(editor(page)).to_contain_text("Train a GPT on Shakespeare")
    show(page, "adamw.wgsl")
    expect(editor(page)).to_contain_text("@compute")
    show(page, "model.py")
    expect(editor(page)).to_contain_text("The GPT")

    type_at_the_top(page, "# mine\n")
    expect(standing(page)).to_have_text("1 file changed. Start trains with your edits.")
    show(page, "train.py")
    type_at_the_top(page, "# ours\n")
    expect(standing(page)).to_contain_text("2 files changed")
    for _ in range(5):
        page.keyboard.press("Control+Z")
    expect(standing(page)).to_contain_text("1 file changed")
    show(page, "model.py")
    expect(editor(page)).to_contain_text("# mine")

    press(page, "Show changes")
    expect(page.locator(".cm-changedLine")).to_contain_text("# mine")
    expect(button(page, "Revert this")).to_be_visible()
    press(page, "Hide changes")

    page.reload()
    wait_for(page, "ready")
    expect(standing(page)).to_contain_text("1 file changed")
    show(page, "model.py")
    expect(editor(page)).to_contain_text("# mine")
    press(page, "Revert")
    expect(standing(page)).to_contain_text("The code as it came")
    expect(editor(page)).not_to_contain_text("# mine")
    press(page, "Undo")
    expect(editor(page)).to_contain_text("# mine")
    assert list(kept_edits(page)) == [LIBRARY + "model.py"]

    # Tab indents, and Esc then Tab goes on to what follows.
    type_at_the_top(page, "x")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    expect(editor(page)).to_be_focused()
    expect(editor(page).locator(".cm-line").first).to_have_text("    x# mine")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor(page)).not_to_be_focused()
    assert errors == []
