"""The course in a real Chromium: lessons done by their own words, with the keyboard alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import button, expect, fill, iteration, open_page, wait_for, wait_for_iteration
from playwright.sync_api import Locator, Page

from groundling.labs.report import loads


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab, or Shift and Tab, until it has the focus, once it can have it; Escape first to
    leave the editor.
    """
    expect(target).to_be_enabled()
    back = """(element) => document.activeElement.compareDocumentPosition(
      element.getRootNode().host ?? element) & Node.DOCUMENT_POSITION_PRECEDING"""
    key = "Shift+Tab" if target.evaluate(back) else "Tab"
    for _ in range(300):
        if target.evaluate("(element) => element === element.getRootNode().activeElement"):
            return
        if page.evaluate("document.activeElement.shadowRoot !== null"):
            page.keyboard.press("Escape")
        page.keyboard.press(key)
    pytest.fail(f"{key} does not come to {target}")


def by_key(page: Page, target: Locator) -> None:
    tab_to(page, target)
    page.keyboard.press("Enter")


def turn_to(page: Page, lesson: Locator, name: str) -> None:
    """Follow a link to another lesson, whose heading gets the focus."""
    by_key(page, lesson.get_by_role("link", name=name))
    expect(lesson.get_by_role("heading", level=2)).to_be_focused()


def open_lesson(page: Page, url: str, number: int) -> Locator:
    open_page(page, f"{url}#lesson={number}")
    lesson = page.get_by_role("complementary", name="Course")
    expect(lesson).to_have_attribute("data-lesson", str(number))
    expect(lesson.get_by_role("heading", level=2)).to_be_focused()
    return lesson


def verdict(lesson: Locator, part: str, done: bool, says: str) -> None:
    line = lesson.locator(f"[data-part={part}]")
    expect(line).to_have_attribute("data-done", "true" if done else "false")
    expect(line).to_contain_text(says)


def check(page: Page, lesson: Locator, done: bool, says: str) -> None:
    by_key(page, lesson.get_by_role("button", name="Check", exact=True))
    verdict(lesson, "task", done, says)


def answer(page: Page, lesson: Locator, value: str, done: bool, says: str) -> None:
    tab_to(page, field := lesson.get_by_label("Your answer, a number"))
    field.press("Control+a")
    page.keyboard.type(value)
    page.keyboard.press("Enter")
    verdict(lesson, "question", done, says)


def choose(page: Page, lesson: Locator, at: int, done: bool, says: str) -> None:
    """Answer with one of the choices, one of which has the focus."""
    choices = lesson.get_by_role("radio")
    for _ in range(choices.count()):  # from where the browser begins
        page.keyboard.press("ArrowDown")
        if choices.nth(at).is_checked():
            break
    by_key(page, lesson.get_by_role("button", name="Answer"))
    verdict(lesson, "question", done, says)


def see_all_hints(page: Page, lesson: Locator) -> None:
    for at, name in enumerate(("A hint (1 of", "Another hint (2", "Another hint (3")):
        by_key(page, lesson.get_by_role("button", name=name))
        hints = lesson.get_by_role("list", name="Hints").get_by_role("listitem")
        expect(hints).to_have_count(at + 1)
        expect(hints.nth(at)).to_be_focused()
    expect(lesson.get_by_role("button", name="hint")).to_have_count(0)


def test_axe_finds_nothing_in_any_lesson(
    page: Page, site_url: str, axe: Callable[..., None]
) -> None:
    lesson = open_lesson(page, site_url, 1)
    links = lesson.get_by_role("navigation").get_by_role("link")
    for number in range(1, 1 + links.count()):
        links.nth(number - 1).click()
        expect(lesson).to_have_attribute("data-lesson", str(number))
        while (hint := lesson.get_by_role("button", name="hint")).count():
            hint.click()
        axe(f"lesson {number} is open, with its hints", ".lesson")
    assert number == 10


def test_the_first_lesson_is_done_by_keys_and_its_progress_is_kept(
    page: Page, site_url: str
) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 1)
    expect(page.locator(".stop")).to_have_count(0)  # one guide at a time
    fill(page, Batch_size="2", Iterations="100000")
    check(page, lesson, False, "press Start")
    answer(page, lesson, "4.17", False, "There is no run yet")
    see_all_hints(page, lesson)

    by_key(page, lesson.get_by_role("button", name="the run"))
    expect(button(page, "Start")).to_be_focused()
    page.keyboard.press("Enter")
    wait_for_iteration(page, 50)
    check(page, lesson, True, "Its training loss began at 4.")
    answer(page, lesson, "ln 65", False, "The answer is a number")
    answer(page, lesson, "4,1", False, "It is more than 4.1")
    answer(page, lesson, "4.17", True, "ln 65 = 4.1744")
    with page.expect_download() as download:
        by_key(page, lesson.get_by_role("button", name="Report"))
    report = Path(download.value.path()).read_text()
    assert "<dt>Answer</dt><dd>4.17</dd>" in report
    assert "<dt>Verdict</dt><dd>Done. ln 65 = 4.1744." in report
    assert loads(report.encode()).config.seed == "hamlet"
    by_key(page, button(page, "Pause"))
    wait_for(page, "paused")

    turn_to(page, lesson, "Next lesson")
    assert page.url.endswith("#lesson=2")
    open_page(page, f"{site_url}?again#lesson=99")  # which there is not: the first
    expect(lesson).to_have_attribute("data-lesson", "1")
    expect(lesson.get_by_role("heading", level=2)).to_be_focused()  # or it takes the focus later
    verdict(lesson, "question", True, "ln 65")
    by_key(page, lesson.get_by_role("button", name="Reset progress"))
    verdict(lesson, "task", False, "")
    by_key(page, lesson.get_by_role("button", name="Undo"))
    verdict(lesson, "task", True, "Done")
    by_key(page, lesson.get_by_role("button", name="Close"))
    expect(lesson).to_have_count(0)
    assert "#" not in page.url
    expect(page.get_by_role("link", name="Go on with the course")).to_have_attribute(
        "href", re.compile("#lesson=2$")
    )
    damaged = '{"1": 7, "x": {"task": "?"}, "2": {"task": []}, "3": null}'
    page.evaluate("(text) => (localStorage['groundling.course'] = text)", damaged)
    page.goto(f"{site_url}?damaged")
    expect(page.get_by_role("link", name="Take the course")).to_have_attribute(
        "href", re.compile("#lesson=1$")
    )


def test_seeds_and_sampling_are_learned_in_their_tabs(page: Page, site_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 3)
    check(page, lesson, False, "No twin has come to its end")
    by_key(page, lesson.get_by_role("button", name="Twin"))
    expect(page.get_by_role("tab", name="Twin")).to_be_focused()
    fill(page, Twin_iterations="2")
    by_key(page, button(page, "Run twin"))
    expect(page.locator("[data-twin-verdict]")).to_have_attribute("data-twin-verdict", "identical")
    check(page, lesson, True, "Byte-identical")
    answer(page, lesson, "0", False, "Change one, and run it again")
    fill(page, Seed_B="hamllet")
    by_key(page, button(page, "Run twin"))
    expect(page.locator("[data-twin-verdict]")).to_have_attribute("data-twin-verdict", "differ")
    answer(page, lesson, "1", False, "It is less than 1")
    answer(page, lesson, "0", True, "They differ from iter 0 on")
    see_all_hints(page, lesson)

    turn_to(page, lesson, "5: Make it talk")
    by_key(page, lesson.get_by_role("button", name="Talk"))
    fill(page, Length="100")
    write = button(page, "Write")
    expect(write).to_be_enabled()
    by_key(page, write)
    expect(page.locator("[data-talk]")).to_have_attribute("data-talk", "done")
    check(page, lesson, False, "top-k 65")
    tab_to(page, page.locator("#knob-topK"))
    page.keyboard.press("Home")
    by_key(page, write)
    expect(page.locator("[data-talk]")).to_have_attribute("data-talk", "done")
    check(page, lesson, True, "Each of the 100 characters")
    page.keyboard.press("Tab")
    choose(page, lesson, 0, False, "just one to draw")
    page.keyboard.press("Shift+Tab")
    choose(page, lesson, 1, True, "The likeliest stays the likeliest")


def test_samples_files_and_code_are_learned_from_one_run(
    page: Page, site_url: str, tmp_path: Path
) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 2)
    check(page, lesson, False, "There is no run yet")
    fill(page, Batch_size="2", Iterations="100000")
    by_key(page, lesson.get_by_role("button", name="the run"))
    page.keyboard.press("Enter")
    wait_for_iteration(page, 201)
    check(page, lesson, True, "From iteration 0 to")
    answer(page, lesson, "3.2", False, "It is more than 3.2")
    answer(page, lesson, "3.31", True, "have an entropy of 3.31")
    see_all_hints(page, lesson)
    by_key(page, button(page, "Pause"))
    wait_for(page, "paused")
    at = iteration(page)

    turn_to(page, lesson, "4: What is in the file")
    by_key(page, lesson.get_by_role("button", name="Inspector"))
    by_key(page, button(page, "The current run"))
    check(page, lesson, False, "No state is open")
    with page.expect_download() as download:
        by_key(page, button(page, "Save state"))
    download.value.save_as(state := tmp_path / download.value.suggested_filename)
    with page.expect_file_chooser() as chooser:
        by_key(page, button(page, "Choose a file to compare with"))
    chooser.value.set_files(state)
    expect(
        page.get_by_role("tabpanel", name="Inspector").get_by_text("a state of hamlet")
    ).to_be_visible()
    check(page, lesson, True, "412,032 more: AdamW's two averages")
    answer(page, lesson, "824,064", False, "It is more than 824,064")
    answer(page, lesson, "2,472,192", True, "3 x 206,016")
    see_all_hints(page, lesson)

    turn_to(page, lesson, "7: Change the code while it trains")
    check(page, lesson, False, "press Apply")
    by_key(page, lesson.get_by_role("button", name="the code"))
    by_key(page, button(page, "Recipes"))
    by_key(page, button(page, "Cosine to constant learning rate"))
    by_key(page, button(page, "Use it"))
    by_key(page, button(page, "Apply"))
    expect(page.locator(".standing")).to_contain_text(str(at))
    check(page, lesson, False, f"from iteration {at} on. Press Resume")
    by_key(page, button(page, "Resume"))
    wait_for_iteration(page, at + 2)
    check(page, lesson, True, f"Since iteration {at}")
    answer(page, lesson, str(at), True, "The curve has a mark there")
    see_all_hints(page, lesson)


def test_the_doctor_is_asked_by_keys(page: Page, site_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 6)
    check(page, lesson, False, "Not run to the end yet: Rate too high, Tiny text")
    answer(page, lesson, "0.6", False, "It is less than 0.6")
    see_all_hints(page, lesson)
    by_key(page, lesson.get_by_role("button", name="Doctor"))
    for case in ("Rate too high", "Tiny text"):
        by_key(page, page.get_by_role("group", name="Cases").get_by_role("button", name=case))
        by_key(page, button(page, "Run this case"))
        expect(page.locator("[data-case]")).to_have_attribute("data-phase", "done")
        expect(button(page, "Run again")).to_be_focused()  # it is the button that was pressed
    check(page, lesson, True, "Rate too high: ")
    answer(page, lesson, "0.416", True, "0.6 x ln 2 = 0.4159")


def find_in_code(page: Page, text: str) -> None:
    """Select a text in the editor, which has the focus."""
    page.keyboard.press("Control+f")
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def test_a_kernel_is_changed_by_keys(page: Page, site_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 8)
    check(page, lesson, False, "There is no run yet")
    see_all_hints(page, lesson)
    fill(page, Batch_size="2", Iterations="100000")
    by_key(page, button(page, "Start"))
    wait_for_iteration(page, 2)
    check(page, lesson, False, "The kernel gelu still computes GELU")

    by_key(page, lesson.get_by_role("button", name="the code"))
    files = page.get_by_role("navigation", name="Files")
    tab_to(page, files.locator("button[tabindex='0']"))
    for name in ("devices/", "kernels.py"):  # a folder, and a file in it
        for _ in range(60):
            page.keyboard.press("ArrowDown")
            if page.evaluate("document.activeElement.textContent") == name:
                break
        page.keyboard.press("Enter")
    editor = page.get_by_role("textbox", name="kernels.py, to edit")
    tab_to(page, editor)
    find_in_code(page, "np.multiply(t, x, out=y)")
    page.keyboard.type("y[:] = np.maximum(x, 0) ** 2")
    page.keyboard.press("Escape")  # a list of completions
    by_key(page, button(page, "Apply"))
    expect(page.locator(".standing")).to_contain_text("Applied at iteration")
    check(page, lesson, False, "Change the derivative too")
    tab_to(page, editor)
    find_in_code(page, "t *= dy")
    page.keyboard.type("dx[:] = dy * 2 * np.maximum(x, 0) + (dx if accumulate else 0)")
    for key in ("Escape", "ArrowDown", "Home", "Shift+End", "Delete"):  # _store(…)
        page.keyboard.press(key)
    by_key(page, button(page, "Apply"))
    expect(page.locator(".standing")).to_contain_text("Applied at iteration")
    at = iteration(page)
    wait_for_iteration(page, at + 2)
    check(page, lesson, True, "agree with finite differences at 60 places")
    answer(page, lesson, "1e400", False, "The answer is a number")  # none is that large
    answer(page, lesson, "1.5", False, "It is more than 1.5")
    answer(page, lesson, "3", True, "is 3.0000")


def test_texts_are_brought_and_compared_by_keys(page: Page, site_url: str, tmp_path: Path) -> None:
    page.emulate_media(reduced_motion="reduce")
    lesson = open_lesson(page, site_url, 9)
    check(page, lesson, False, "There is no run yet")
    see_all_hints(page, lesson)
    fill(page, Batch_size="2", Iterations="100000")
    by_key(page, button(page, "Start"))
    wait_for_iteration(page, 1)
    check(page, lesson, False, "Your run learns Shakespeare")
    turn_to(page, lesson, "10: Data decides")
    check(page, lesson, False, "Your run learns Shakespeare")
    turn_to(page, lesson, "9: Your own text")
    by_key(page, button(page, "Reset"))
    expect(button(page, "Start")).to_be_focused()
    (text := tmp_path / "mine.txt").write_text(
        "The quick brown fox jumps over the lazy dog.\n" * 300
    )
    by_key(page, lesson.get_by_role("button", name="Text and model"))
    with page.expect_file_chooser() as chooser:
        by_key(page, button(page, "Open text files"))
    chooser.value.set_files(text)
    tab = page.get_by_role("tabpanel", name="Text and model")
    expect(tab).to_contain_text("mine.txt: 13,500 bytes")
    page.locator("#field-batchSize").fill("2")
    by_key(page, button(page, "Start"))
    wait_for_iteration(page, 100)
    check(page, lesson, False, "Your run reads characters. Reset it, use the preset byte-v0")
    by_key(page, button(page, "Pause"))
    wait_for(page, "paused")

    turn_to(page, lesson, "10: Data decides")
    by_key(page, lesson.get_by_role("button", name="Talk"))
    expect(page.locator("[data-voice=reference]")).to_be_visible()
    check(page, lesson, True, "Each is less surprised by what it was trained on.")
    page.keyboard.press("Tab")
    choose(page, lesson, 2, False, "It trains the model to predict the next character")
    page.keyboard.press("Shift+Tab")
    choose(page, lesson, 1, True, "Nothing in the loss asks whether a sentence is true.")
    see_all_hints(page, lesson)

    turn_to(page, lesson, "9: Your own text")
    by_key(page, button(page, "Reset"))
    expect(button(page, "Start")).to_be_focused()
    by_key(page, lesson.get_by_role("button", name="Text and model"))
    by_key(page, tab.get_by_role("button", name="byte-v0", exact=True))
    by_key(page, tab.get_by_role("button", name="Use this model"))
    expect(tab.get_by_role("button", name="In use")).to_be_visible()
    page.locator("#field-batchSize").fill("1")
    by_key(page, button(page, "Start"))
    wait_for_iteration(page, 20)
    check(page, lesson, True, "It learns 'mine.txt', of 13,500 bytes.")
    answer(page, lesson, "4.17", False, "It is more than 4.17")
    answer(page, lesson, "5.55", True, "ln 256 = 5.5452")
    answer(page, lesson, "9", False, "Done before, not now. It is less than 9")
