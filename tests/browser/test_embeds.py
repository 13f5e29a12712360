"""One panel in a frame of another page: on a page of another origin, in a browser that gives such
frames no storage.
"""

import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conftest import FLAGS, ROOT
from driving import WAIT_MS, button, fill, open_page, wait_for, wait_until_kept
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

PANELS = {
    "A run": "panel=run&theme=dark&seed=juliet&iters=5&batchSize=2",
    "Talk": "panel=talk&theme=light&prompt=JULIET%3A%0A&length=20&topK=1",
    "Doctor": "panel=doctor&case=high&iters=60",
    "Twin": "panel=twin&a=x&b=y&iters=2",
    "Look inside": "panel=inside&prompt=To+be",
    "Lesson 3": "panel=lesson&lesson=3",
}
LESSONS = len(list((ROOT / "site/lessons/en").glob("*.md")))
STORED = """async () => {
  const asked = [() => localStorage, () => navigator.storage.getDirectory(), () => caches.keys()];
  const given = asked.map(async (ask) => ask());
  return (await Promise.allSettled(given)).map(({ status }) => status);
}"""


@pytest.fixture
def strict(build: ModuleType, chromium: Browser, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser that blocks the cookies and the storage of third parties."""
    (folder := tmp_path / "profile/Default").mkdir(parents=True)
    blocks = {"cookie_controls_mode": 1, "block_third_party_cookies": True}
    (folder / "Preferences").write_text(json.dumps({"profile": blocks}))
    context = chromium.browser_type.launch_persistent_context(
        folder.parent,
        executable_path=build.find_chromium(),
        args=[*FLAGS, "--test-third-party-cookie-phaseout"],
    )
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def lesson_page(build: ModuleType, site_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a page of another origin with six panels in it."""
    (folder := tmp_path / "course").mkdir()
    frames = [
        f'<iframe src="{site_url}embed.html#{html.escape(link)}" title="{name}" loading="lazy" '
        'width="100%" height="600"></iframe>'
        for name, link in PANELS.items()
    ]
    (folder / "index.html").write_text(f"<!doctype html><title>A course</title>{''.join(frames)}")
    server = build.server({"/": folder})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"  # the site's is 127.0.0.1
    server.shutdown()


def frame(page: Page, title: str) -> Frame:
    place = page.locator(f'iframe[title="{title}"]')
    place.scroll_into_view_if_needed()
    found = place.element_handle().content_frame()
    expect(found.get_by_role("heading", level=1)).to_have_text(title)
    return found


def by_key(frame: Frame, name: str) -> None:
    frame.get_by_role("button", name=name, exact=True).press("Enter")


def load(page: Page, title: str) -> Frame:
    found = frame(page, title)
    by_key(found, "Load")
    expect(found.locator("[data-phase=ready]")).to_be_visible()
    return found


def test_a_panel_without_a_run_leaves_the_browsers_copies_to_the_full_page(
    page: Page, site_url: str
) -> None:
    page.goto(f"{site_url}embed.html#panel=talk")
    button(page, "Load").click()
    wait_for(page, "ready")
    full = page.context.new_page()
    open_page(full, site_url)
    fill(full, Batch_size="2", Iterations="3")
    button(full, "Start").click()
    wait_for(full, "done")
    wait_until_kept(full, 3)
    full.close()


def test_six_panels_on_a_page_of_another_origin_work_without_storage(
    strict: BrowserContext, lesson_page: str, site_url: str
) -> None:
    page, asked, wrong = strict.pages[0], [], []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(lesson_page)
    for title, link in PANELS.items():
        one = frame(page, title)
        expect(one.get_by_role("button", name="Load")).to_be_visible()
        full = one.get_by_role("link", name="Open the full page")
        expect(full).to_have_attribute("target", "_blank")
        assert full.evaluate("(link) => link.href") == f"{site_url}#{link}"
    assert frame(page, "Talk").evaluate(STORED) == ["rejected"] * 3
    assert {"embed.js", "embed.css"} <= set(asked)
    assert not {"main.js", "worker.js", "main.css"} & set(asked)  # before they are wanted

    run = load(page, "A run")
    expect(run.locator("html")).to_have_attribute("data-theme", "dark")
    expect(run.get_by_label("Seed", exact=True)).to_have_value("juliet")
    by_key(run, "Start")
    expect(run.locator("[data-phase=done]")).to_be_visible()
    expect(run.get_by_text("This browser gives the page no storage")).to_be_visible()

    talk = load(page, "Talk")
    expect(talk.locator("html")).to_have_attribute("data-theme", "light")
    expect(talk.get_by_label("Prompt")).to_have_value("JULIET:\n")
    expect(talk.get_by_role("slider", name="Top-k")).to_have_value("1")
    assert talk.get_by_role("radio").count() == 2  # there is no run here to ask
    expect(talk.get_by_role("button", name="Write")).to_be_enabled()
    by_key(talk, "Write")
    expect(talk.get_by_text("20 characters, ")).to_be_visible()

    lesson = load(page, "Lesson 3")
    course = lesson.get_by_role("complementary", name="Course")
    expect(course).to_have_attribute("data-lesson", "3")
    course.get_by_role("button", name="Check").press("Enter")
    expect(course).to_contain_text("No twin has come to its end yet")
    course.get_by_role("link", name="Next lesson").press("Enter")
    expect(course).to_have_attribute("data-lesson", "4")
    assert lesson.url == f"{site_url}embed.html#panel=lesson&lesson=4"
    expect(lesson.get_by_role("heading", level=1)).to_have_text("Lesson 4")
    assert lesson.title() == "Lesson 4 · Groundling"
    assert course.get_by_role("button", name="Close").count() == 0  # nothing would be left
    assert (
        lesson.get_by_role("link", name="Open the full page")
        .evaluate("(link) => link.href")
        .endswith("lesson=4")
    )
    lesson.get_by_label("Iterations", exact=True).fill("1")
    by_key(lesson, "Start")
    expect(lesson.locator("[data-phase=done]")).to_be_visible()
    assert re.fullmatch("Done · .* · Lesson 4 · Groundling", lesson.title())
    lesson.evaluate("location.hash = 'panel=lesson'")
    expect(course).to_have_attribute("data-lesson", "1")
    expect(lesson.get_by_role("heading", level=1)).to_have_text("Lesson 1")
    assert re.fullmatch("Done · .* · Lesson 1 · Groundling", lesson.title())
    assert wrong == []


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("", "the panel “”; there are run, talk, inside, doctor, twin, lesson."),
        ("panel=toString", "the panel “toString”; there are"),
        ("panel=twin&c=1", "The panel twin has no setting “c”; it has a, b, iters."),
        ("panel=talk&topP=7", "topP is “7” in the address; it goes from 0.1 to 1."),
        ("panel=talk&temperature=<b>", "temperature is “<b>” in the address"),
        ("panel=lesson&lesson=", f"lesson is “” in the address; it goes from 1 to {LESSONS},"),
        (f"panel=lesson&lesson={LESSONS + 1}", f"it goes from 1 to {LESSONS}, in whole numbers."),
        ("panel=lesson&lesson=1.5", "lesson is “1.5” in the address"),
        ("panel=run&link=code=abc", "The link in the address is not the link of a run."),
        ("panel=run&theme=pink", "The theme is “pink” in the address; it can be light or dark."),
    ],
)
def test_an_address_that_asks_for_what_there_is_not_is_told_in_a_sentence(
    page: Page, site_url: str, link: str, says: str
) -> None:
    page.goto(f"{site_url}embed.html#{link}")
    expect(page.get_by_role("status")).to_contain_text(says)
    assert page.get_by_role("button").count() == 0
    full = page.get_by_role("link", name="Open the full page")
    assert full.evaluate("(link) => link.href") == site_url


def test_a_panel_is_copied_as_it_is_set_and_opens_so_in_a_frame_and_on_the_page(
    page: Page, site_url: str, axe: Callable[..., None]
) -> None:
    open_page(page, f"{site_url}#panel=twin&a=one&b=two&iters=7")
    twin = page.get_by_role("tabpanel", name="Twin")
    expect(twin.get_by_label("Seed B")).to_have_value("two")
    fill(page, Seed_A="o & <p>")
    twin.get_by_role("button", name="Copy embed").press("Enter")
    line = twin.get_by_label("The embed, ").input_value()
    assert line == (
        f'<iframe src="{site_url}embed.html#panel=twin&amp;a=o+%26+%3Cp%3E&amp;b=two&amp;iters=7" '
        'title="Groundling: Twin" width="100%" height="680" loading="lazy" style="border: 0">'
        "</iframe>"
    )
    source = html.unescape(line.split('"')[1])
    page.goto(source)
    axe("the panel is not loaded")
    button(page, "Load").press("Enter")
    wait_for(page, "ready")
    expect(page.get_by_label("Seed A")).to_have_value("o & <p>")
    axe("the panel is loaded")
    page.evaluate("location.hash = 'panel=talk'")  # another panel is another page
    expect(page.get_by_role("heading", level=1)).to_have_text("Talk")
    expect(button(page, "Load")).to_be_visible()


def test_a_run_is_copied_with_its_link_which_a_frame_shows_and_does_not_run(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    fill(page, Iterations="3", Batch_size="2")
    button(page, "Start").click()
    wait_for(page, "done")
    page.locator(".share").get_by_role("button", name="Copy embed").click()
    line = page.get_by_label("The embed, ").input_value()
    page.goto(html.unescape(line.split('"')[1]))
    button(page, "Load").press("Enter")
    wait_for(page, "ready")
    claim = page.get_by_role("region", name="A run, told by a link")
    expect(claim).to_contain_text("Nothing of it has run.")
    expect(claim).to_have_attribute("data-replay-verdict", "none")
    claim.get_by_role("button", name="Dismiss").press("Enter")
    expect(claim).to_have_count(0)
    assert page.url == f"{site_url}embed.html#panel=run"


@pytest.mark.parametrize(
    ("allows", "says"),
    [
        ("allow-scripts", "has to allow allow-scripts allow-same-origin"),
        ("allow-scripts allow-same-origin", "then runs on your own device"),
    ],
)
def test_a_frame_in_a_sandbox_works_or_says_what_it_needs(
    page: Page, site_url: str, allows: str, says: str
) -> None:
    page.goto(f"{site_url}runner/pyodide_runner.html")
    page.evaluate(
        """([src, sandbox]) => {
          const frame = Object.assign(document.createElement("iframe"), { src });
          frame.setAttribute("sandbox", sandbox);
          document.body.append(frame);
        }""",
        [f"{site_url}embed.html#panel=twin", allows],
    )
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("main")).to_contain_text(says)
    expect(frame.get_by_role("main").locator("p").last).to_be_visible()
    expect(frame.get_by_role("link", name="Open the full page")).to_be_visible()
