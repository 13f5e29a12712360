"""The editor in a real Chromium: the code that trains, changed while it trains."""

import base64
import csv
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from driving import (
    button,
    fill,
    in_worker,
    iteration,
    open_page,
    pause,
    press,
    tell_worker,
    wait_for,
    wait_for_iteration,
)
from playwright.sync_api import Locator, Page, expect

from groundling import sources
from groundling.edits import project
from groundling.runs import checkpoint

LIBRARY = "py_src/groundling/"
ITERS = 200
PASTE = """(element, text) => {
    const carried = new DataTransfer();
    carried.setData("text/plain", text);
    const options = { clipboardData: carried, bubbles: true, cancelable: true };
    element.dispatchEvent(new ClipboardEvent("paste", options));
}"""


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="to edit")


def standing(page: Page) -> Locator:
    return page.locator(".standing")


def show(page: Page, name: str) -> None:
    files = page.get_by_role("navigation", name="Files")
    closed = files.locator("details:not([open])", has_text="shaders/").locator("summary")
    if name.endswith(".wgsl") and closed.count():
        closed.click()
    files.get_by_role("button", name=re.compile(rf"^{re.escape(name)}\s*(,|$)")).click()
    expect(editor(page)).to_have_attribute("aria-label", f"{name}, to edit")


def type_at_the_top(page: Page, text: str) -> None:
    editor(page).click()
    page.keyboard.press("Control+Home")
    page.keyboard.type(text)


def path_of(name: str) -> str:
    return ("shaders/" if name.endswith(".wgsl") else LIBRARY) + name


def edited(name: str, *pairs: tuple[str, str]) -> str:
    """A file of the library with replacements."""
    text = sources.original(path_of(name))
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def put(page: Page, name: str, text: str) -> None:
    """Make a file's text another, as by pasting it over all."""
    show(page, name)
    editor(page).click()
    page.keyboard.press("Control+A")
    editor(page).evaluate(PASTE, text)


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
    on_cpu = page.get_by_role("button", name="CPU", exact=True, pressed=True).count() > 0
    expect(page.get_by_text("Used on a GPU.")).to_be_visible(visible=on_cpu)
    show(page, "model.py")
    expect(page.get_by_text("Used on a GPU.")).to_have_count(0)
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

    # ruff is fetched when it is asked for.
    type_at_the_top(page, "answer = [ 42,1 ]\n")
    press(page, "Format")
    expect(editor(page)).to_contain_text("answer = [42, 1]")
    show(page, "optim.py")
    press(page, "Format")
    expect(button(page, "Format")).to_be_enabled()
    assert list(kept_edits(page)) == [LIBRARY + "model.py"]  # in the other it changes nothing
    show(page, "model.py")

    # Tab stops at the files once, arrow keys go from one to the next.
    page.locator(".tree [aria-current=true]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".tree button", has_text="optim.py")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    expect(editor(page)).to_be_focused()

    # Tab indents, and Esc then Tab goes on to what follows.
    type_at_the_top(page, "x")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    expect(editor(page)).to_be_focused()
    expect(editor(page).locator(".cm-line").first).to_have_text("    xanswer = [42, 1]")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor(page)).not_to_be_focused()
    assert errors == []


# ---- apply ---------------------------------------------------------------------------------------


@dataclass
class Trained:
    """What came of a run: its log, row by row, and its weights."""

    log: list[dict[str, str]]
    weights: bytes


def download(page: Page, name: str) -> bytes:
    with page.expect_download() as downloaded:
        press(page, name)
    return Path(downloaded.value.path()).read_bytes()


# Python trains for a frame, then looks into its inbox: a fifth of a second later, until told again.
# That leaves a hand time for an edit, however fast the steps are.
SLOWLY = """let slow = false;
on.push(() => (slow = !slow));
const post = MessagePort.prototype.postMessage;
MessagePort.prototype.postMessage = function (...message) {
  if (slow) setTimeout(() => post.apply(this, message), 200);
  else post.apply(this, message);
}"""


def train(page: Page, iters: int = ITERS) -> None:
    """A few iterations, from the beginning."""
    fill(page, Iterations=str(iters), Batch_size="8")
    press(page, "Start")
    wait_for(page, "training")


def outcome(page: Page) -> Trained:
    wait_for(page, "done")
    log = list(csv.DictReader(io.StringIO(download(page, "Download CSV").decode())))
    weights = download(page, "Save weights")[checkpoint.HEADER_BYTES :]
    press(page, "Reset")
    wait_for(page, "ready")
    return Trained(log, weights)


def refused(page: Page, name: str, old: str, new: str, said: str) -> None:
    """Apply an edit that fails, read why, and take it back."""
    put(page, name, edited(name, (old, new)))
    page.keyboard.press("Control+Enter")
    expect(standing(page)).to_have_text("Refused: the old code goes on.")
    panel = page.locator(".news .panel.error")
    expect(panel).to_contain_text(said)
    panel.locator("> .frames > .frame button").last.click()  # the reader's own
    expect(page.locator(".cm-raised-line").first).to_be_visible()
    panel.get_by_role("button", name="Close").click()
    press(page, "Revert")


def test_an_apply_goes_on_with_the_weights_and_broken_code_changes_nothing(
    page: Page, site_url: str
) -> None:
    """An untouched run; one whose learning rate is doubled on its way; and one that is given code
    that fails in four ways, and ends with the weights of the untouched one.
    """
    in_worker(page, SLOWLY)
    open_page(page, site_url)
    train(page)
    untouched = outcome(page)
    assert len(untouched.log) == ITERS

    # Twice the learning rate, with what is typed meanwhile left whole.
    tell_worker(page)
    train(page)
    wait_for_iteration(page, 2)
    lr = "learning_rate(it, config)"
    doubled = edited("train.py", (f"lr = {lr}", f"lr = 2 * {lr}"))
    put(page, "train.py", doubled)
    typed = "# The quick brown fox jumps over the lazy dog."
    page.keyboard.press("Control+End")
    page.keyboard.type(typed)
    expect(editor(page)).to_contain_text(typed)
    expect(standing(page)).to_have_text("1 file changed, not applied.")
    page.keyboard.press("Control+Enter")
    expect(standing(page)).to_contain_text("Applied at iteration")
    at = int(re.search(r"iteration (\d+)", standing(page).inner_text())[1])
    mark = page.get_by_role("button", name=re.compile(f"iteration {at} ?train.py"))
    mark.click()
    expect(page.get_by_role("region", name="What changes in train.py")).to_contain_text(
        "lr = 2 * learning_rate"
    )
    tell_worker(page)
    touched = outcome(page)
    expect(mark).to_have_count(0)
    assert [int(row["iter"]) for row in touched.log] == list(range(ITERS))
    for before, after in zip(untouched.log, touched.log, strict=True):
        it = int(after["iter"])
        assert float(after["lr"]) == float(before["lr"]) * (1 if it < at else 2)
        if it <= at:  # a loss is taken before its update: up to `at` the weights are the same
            assert after["train"] == before["train"]
    assert touched.weights != untouched.weights
    press(page, "Revert")

    # Refused once while it trains, and three times while it is paused.
    tell_worker(page)
    train(page)
    wait_for_iteration(page, 2)
    refused(page, "train.py", "        loss.backward()\n", "        1 / 0\n", "ZeroDivisionError")
    press(page, "Pause")
    wait_for(page, "paused")
    assert iteration(page) < ITERS
    tell_worker(page)
    refused(page, "train.py", "def train(", "def train((", "This is not Python")
    refused(page, "train.py", "import math\n", "import maths\n", "This cannot be imported")
    refused(page, "model.py", "linear(x, self.c_fc)", "linear(x, self.c_proj)", "shape")
    press(page, "Resume")
    assert outcome(page).weights == untouched.weights


@pytest.mark.gpu
def test_a_kernel_that_does_not_compile_is_refused_while_the_old_one_trains(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    train(page, 100_000)
    wait_for_iteration(page, 1)
    refused(page, "gelu.wgsl", "let v = x[i];", "let v = x[i]", "expected")
    at = iteration(page)
    wait_for_iteration(page, at + 1)


# ---- kept and shared -----------------------------------------------------------------------------


def test_projects_are_kept_named_and_come_back_from_a_zip_and_a_link(
    page: Page, site_url: str
) -> None:
    """Edits of a file or a link are read first, and become a project of their own; nothing runs."""
    open_page(page, site_url)
    type_at_the_top(page, "# shared\n")
    expect(standing(page)).to_contain_text("1 file changed")
    press(page, "Keep and share")
    press(page, "Rename")
    page.get_by_label("Another name for it").fill("Mine")
    press(page, "Rename it")
    zipped = download(page, "Download .zip")
    found = project.from_zip(zipped)
    assert (found.name, list(found.files)) == ("Mine", [LIBRARY + "train.py"])
    assert found.files[LIBRARY + "train.py"].startswith("# shared\n")
    press(page, "Copy link to the edits")
    field = page.locator(".projects .made input")
    expect(field).to_have_value(re.compile("#code="))
    link = field.input_value()

    press(page, "New")
    page.get_by_label("Name of the new project").fill("Mine")
    press(page, "Make it")
    expect(page.get_by_role("main").get_by_text("There is a project of that name")).to_be_visible()
    page.get_by_label("Name of the new project").fill("Other")
    press(page, "Make it")
    expect(standing(page)).to_contain_text("The code as it came")
    choice = page.get_by_label("Project", exact=True)
    choice.select_option("Mine")
    expect(standing(page)).to_contain_text("1 file changed")
    press(page, "Delete")
    expect(choice.locator("option")).to_have_text(["Other"])
    press(page, "Undo")
    expect(choice).to_have_value("Mine")
    expect(standing(page)).to_contain_text("1 file changed")
    choice.select_option("Other")

    page.locator(".projects input[type=file]").set_input_files(
        {"name": "mine.zip", "mimeType": "application/zip", "buffer": zipped}
    )
    offered = page.get_by_role("region", name="“Mine”: edits to read")
    expect(offered.get_by_role("region", name="What changes in train.py")).to_contain_text(
        "# shared"
    )
    expect(standing(page)).to_contain_text("The code as it came")
    press(page, "Use these edits")
    expect(choice).to_have_value("Mine 2")
    expect(editor(page)).to_contain_text("# shared")

    page.goto(link)
    page.reload()
    wait_for(page, "ready")
    expect(offered).to_contain_text("Nothing of them has run")
    press(page, "Not now")
    expect(offered).to_have_count(0)
    assert page.evaluate("location.hash") == ""
    wait_for(page, "ready")  # nothing of all this has run


def packed(told: dict) -> str:
    """A link's fragment of any JSON at all."""
    deflate = zlib.compressobj(9, wbits=-15)
    data = deflate.compress(json.dumps(told).encode()) + deflate.flush()
    return "code=" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_hostile_links_say_what_is_wrong_and_run_nothing(page: Page, site_url: str) -> None:
    """Script tags, a giant payload, a truncated one, another version; then one that is well made
    but whose words are markup.
    """
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    good = project.to_link(project.Project("good", {LIBRARY + "train.py": "print('it ran')\n"}))
    hostile = [
        "code=<script>alert(1)</script>",
        "code=" + "A" * 100_000,
        good[: len(good) // 2],
        packed({"format": "groundling-project-v2", "files": {}}),
        packed({"files": {"../../etc/passwd": "x"}}),
    ]
    open_page(page, site_url)
    refused = page.get_by_role("region", name="This link was refused")
    for fragment in hostile:
        page.evaluate("(fragment) => (location.hash = fragment)", fragment)
        expect(refused).to_contain_text("Nothing of it has run.")
        assert len(refused.locator("p").first.inner_text()) < 600
        refused.get_by_role("button", name="Close").click()
        expect(refused).to_have_count(0)
    name, text = (
        "<img src=x onerror=alert(1)>",
        "# </pre><script>alert(2)</script>\nprint('it ran')\n",
    )
    markup = project.to_link(project.Project(name, {LIBRARY + "evil.py": text}))
    page.evaluate("(fragment) => (location.hash = fragment)", markup)
    offered = page.get_by_role("region", name="edits to read")
    expect(offered).to_contain_text(name)
    expect(offered.get_by_role("region", name="What changes in evil.py")).to_contain_text(
        "<script>"
    )
    assert page.locator("img:not(.cm-widgetBuffer)").count() == 0
    press(page, "Use these edits")
    expect(standing(page)).to_contain_text("1 file changed")
    wait_for(page, "ready")
    expect(page.locator(".console .lines li")).to_have_count(0)
    assert dialogs == []


def test_a_diff_to_be_judged_hides_nothing(page: Page, site_url: str) -> None:
    """Characters that turn the text or take no room, letters that pass for others, what stands far
    to the right, and what comes after thousands of lines.
    """
    turned = "access = 'user\u202e \u2066# only for admins\u2069 \u2066'"
    lines = [
        turned,
        "zero\u200bwidth = no\u00a0break",
        "p\u0430th = \uff58",  # a Cyrillic letter in a Latin word, and what Python takes for x
        "naïve = 'Ünïcode, κόσμε'",
        f"x = 1{' ' * 3000}; evil()",
        *["y = 0"] * 5000,
        "last = 5000",
    ]
    text = "\n".join(lines) + "\n"
    open_page(page, site_url)
    fragment = project.to_link(project.Project("odd", {LIBRARY + "odd.py": text}))
    page.evaluate("(fragment) => (location.hash = fragment)", fragment)
    diff = page.get_by_role("region", name="What changes in odd.py")
    codes = diff.locator(".code-point")
    told = ["202E", "2066", "2069", "2066", "200B", "00A0", "0430", "FF58"]
    expect(codes).to_have_text([f"U+{code}" for code in told])
    expect(page.locator(".diff .odd")).to_contain_text("8 characters that were added")
    evil = diff.locator("span.added", has_text="evil()")
    inside = """(line) => {
        const range = document.createRange();
        range.selectNodeContents(line);
        const { right } = line.closest("pre").getBoundingClientRect();
        return [...range.getClientRects()].every((box) => box.right <= right);
    }"""
    assert evil.evaluate(inside)
    # Characters stand in the order in which Python reads them.
    first = diff.locator("span.added").first
    order = """(line) => {
        const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
        const lefts = [];
        for (let node; (node = texts.nextNode()); ) {
            const range = document.createRange();
            range.selectNodeContents(node);
            const box = range.getClientRects()[0];
            if (box && box.width) lefts.push([Math.round(box.top / 8), box.left]);
        }
        const before = (a, b) => a[0] < b[0] || (a[0] === b[0] && a[1] <= b[1]);
        return lefts.every((at, i) => i === 0 || before(lefts[i - 1], at));
    }"""
    assert first.evaluate(order)
    expect(diff).not_to_contain_text("last = 5000")
    page.get_by_role("button", name=re.compile("^Show the other 1,0.. lines$")).click()
    expect(diff).to_contain_text("last = 5000")
    press(page, "Use these edits")
    show(page, "odd.py")
    expect(page.locator(".cm-specialChar").first).to_be_visible()  # in the editor too


def test_what_is_wrong_with_the_code_is_told_however_late_python_finds_it(
    page: Page, site_url: str
) -> None:
    in_worker(
        page,
        """const post = self.postMessage.bind(self);
        self.postMessage = (message, options) => message.type === "linted"
          ? setTimeout(post, 6000, message, options) : post(message, options)""",
    )
    open_page(page, site_url)
    type_at_the_top(page, "undefined_name\n")
    expect(page.get_by_role("button", name=re.compile("line 1: .*undefined_name"))).to_be_visible()


def test_what_is_wrong_with_edits_that_were_kept_is_told_however_late_python_comes_up(
    page: Page, site_url: str
) -> None:
    kept = {LIBRARY + "train.py": "undefined_name\n" + sources.original(LIBRARY + "train.py")}
    page.add_init_script(
        "localStorage.setItem('groundling-project', 'Mine');"
        f"localStorage.setItem('groundling-project:Mine', {json.dumps(json.dumps(kept))});"
    )
    in_worker(
        page,
        """const post = self.postMessage.bind(self);
        self.postMessage = (message, options) => message.phase === "ready"
          ? setTimeout(post, 3000, message, options) : post(message, options)""",
    )
    open_page(page, site_url)
    expect(page.get_by_role("button", name=re.compile("line 1: .*undefined_name"))).to_be_visible()


def test_a_file_that_is_removed_as_ruff_comes_stays_removed(page: Page, site_url: str) -> None:
    slow = []
    page.route("**/ruff/ruff_wasm.js", lambda route: slow.append(route))
    open_page(page, site_url)
    press(page, "New file")
    page.get_by_label("Name of the new file").fill("mine.py")
    press(page, "Make it")
    press(page, "Format")
    press(page, "Remove")
    while not slow:
        page.wait_for_timeout(50)
    slow.pop().continue_()
    expect(button(page, "Format")).to_be_enabled()
    assert kept_edits(page) == {}


def test_keys_that_are_held_do_not_answer_what_they_ask_and_format_keeps_what_is_typed(
    page: Page, site_url: str
) -> None:
    slow = []
    page.route("**/ruff/ruff_wasm.js", lambda route: slow.append(route))
    open_page(page, site_url)
    show(page, "model.py")
    type_at_the_top(page, "answer = [ 42,1 ]\n")
    button(page, "Format").press("Enter")
    expect(button(page, "Fetching ruff …")).to_be_focused()
    type_at_the_top(page, "typed = [ 1,2 ]\n")
    while not slow:
        page.wait_for_timeout(50)
    slow.pop().continue_()
    expect(editor(page)).to_contain_text("answer = [42, 1]")
    expect(editor(page)).to_contain_text("typed = [1, 2]")
    press(page, "Revert")

    fill(page, Iterations="400", Batch_size="1")
    press(page, "Start")
    wait_for_iteration(page, 101)
    editor(page).click()
    for _ in range(4):
        page.keyboard.down("Control")
        page.keyboard.down("Shift")
        page.keyboard.down("Enter")
    question = page.get_by_role("region", name="End this run?")
    expect(question).to_be_visible()
    page.keyboard.up("Shift")
    page.keyboard.up("Control")
    page.keyboard.down("Enter")  # still held, on whatever has the focus now
    page.keyboard.up("Enter")
    expect(question).to_be_visible()
    assert iteration(page) > 100
    page.keyboard.press("Enter")
    expect(question).to_have_count(0)
    assert iteration(page) > 100
    expect(editor(page)).to_be_focused()  # where the keys were pressed

    page.keyboard.press("Control+Shift+Enter")
    expect(question).to_be_visible()
    press(page, "Reset")
    wait_for(page, "ready")
    press(page, "Start")
    wait_for_iteration(page, 1)
    expect(question).to_have_count(0)  # it was of the run before


# ---- eyes ----------------------------------------------------------------------------------------

CONTRASTS = """([inks, grounds]) => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const luminance = (name) => {
        const probe = document.body.appendChild(document.createElement("span"));
        probe.style.color = `var(--${name})`;
        context.fillStyle = getComputedStyle(probe).color;
        probe.remove();
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return inks.flatMap((ink) => grounds.map((ground) => {
        const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
        return [ink, ground, (high + 0.05) / (low + 0.05)];
    }));
}"""


def test_code_can_be_read_where_it_is_selected_found_or_changed(page: Page, site_url: str) -> None:
    """axe does not look at a selection, nor behind the shadow root."""
    inks = [
        "ink",
        "muted",
        *(f"code-{n}" for n in ["comment", "string", "keyword", "number", "name"]),
    ]
    grounds = ["card", "code-line", "code-selection", "code-match", "code-found"]
    grounds += ["added", "added-text", "removed", "removed-text"]
    page.goto(site_url)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for ink, ground, contrast in page.evaluate(CONTRASTS, [inks, grounds]):
            assert contrast >= 4.5, f"{ink} on {ground}, {scheme}: {contrast:.2f}"


def test_what_was_said_of_refused_code_goes_when_that_code_does(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    panel = page.locator(".news .panel.error")
    put(page, "train.py", "def train(:\n")
    press(page, "Run")
    expect(standing(page)).to_have_text("Refused: nothing was started.")
    type_at_the_top(page, "# mended soon\n")
    expect(standing(page)).to_have_text("1 file changed. Start trains with your edits.")
    expect(panel).to_be_visible()  # to mend it by
    press(page, "Revert")
    expect(standing(page)).to_have_text(
        "The code as it came. Edit any file: Start trains with your edits."
    )
    expect(panel).to_have_count(0)

    fill(page, Iterations="100000", Batch_size="2")
    press(page, "Start")
    pause(page, 1)
    shapes = ('shapes = {"wte"', 'shapes = {"extra": (C,), "wte"')
    put(page, "model.py", edited("model.py", shapes))
    press(page, "Apply")
    fit = page.get_by_role("region", name="Other parameters than the run has")
    expect(fit).to_be_visible()
    press(page, "Revert")
    expect(fit).to_have_count(0)
    expect(standing(page)).to_have_text("The run has the code as it came.")


def test_a_new_file_has_a_name_that_can_be_imported(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    press(page, "New file")
    name = page.get_by_label("Name of the new file")
    for wrong, said in (
        ("class.py", "class is a keyword of Python"),
        ("labs/import.py", "import is a keyword"),
        ("random.py", "the module random that is there already"),
        ("engine.py", "engine is a folder of the library."),
        ("nowhere/mine.py", "The library has no folder nowhere."),
        ("tiles/mine.wgsl", "A new kernel has no folder"),
        ("model.py", "That file exists."),
        ("None.py", "in lower-case letters"),
    ):
        name.fill(wrong)
        name.press("Enter")
        expect(page.locator(".naming .problem")).to_contain_text(said)
        expect(name).to_be_focused()
    name.fill("labs/mine.py")
    name.press("Enter")
    expect(page.get_by_role("textbox", name="labs/mine.py, to edit")).to_be_focused()


def test_axe_finds_nothing_in_the_code(page: Page, site_url: str, axe: Callable) -> None:
    """Of the changes, the drawers, the console, a refusal."""
    open_page(page, site_url)
    type_at_the_top(page, "undefined_name\n")
    press(page, "Show changes")
    expect(page.get_by_role("button", name=re.compile("line 1: .*undefined_name"))).to_be_visible()
    axe("changes", "#code")
    press(page, "Recipes")
    page.locator(".recipes h3 button").first.click()
    axe("recipes", "#code")
    press(page, "Keep and share")
    press(page, "New")
    axe("projects", "#code")
    press(page, "Keep and share")
    page.get_by_role("textbox", name="Ask the run").click()
    for text in ("print('hello')", "1 / 0", "__import__('numpy').eye(8)"):
        page.keyboard.insert_text(text)
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
    expect(page.locator(".console canvas")).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("textbox", name="Ask the run")).to_contain_text("eye(8)")
    axe("console", "#code")
    page.get_by_label("Search the console").fill("hello")
    expect(page.locator(".console .lines li")).to_have_count(2)
    put(page, "train.py", "def train(:\n")
    press(page, "Run")
    expect(standing(page)).to_have_text("Refused: nothing was started.")
    axe("refused", "#code")
    axe("refused", "#code")


def test_notes_stand_beside_the_code_on_request_and_are_no_part_of_it(
    page: Page, site_url: str, axe: Callable
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/")[-1]))
    open_page(page, site_url)
    shown = page.locator(".cm-note")
    assert "notes.json" not in asked
    page.get_by_role("button", name="Show notes").press("Enter")
    expect(shown.first).to_contain_text("one update of all weights")
    expect(shown.first).to_have_attribute("lang", "en")
    expect(shown.first).to_be_in_viewport()  # though it is far down in the file
    axe("notes on train.py", ".coding")
    page.set_viewport_size({"width": 390, "height": 900})
    page.locator(".coding .cm-scroller").first.evaluate("(it) => { it.scrollLeft = 300; }")
    gutter = page.locator(".coding .cm-gutters").first.bounding_box()
    assert shown.first.bounding_box()["x"] >= gutter["x"] + gutter["width"] - 4
    page.set_viewport_size({"width": 1440, "height": 900})

    show(page, "optim.py")
    about_m = shown.filter(has_text="Two more numbers for each parameter")
    expect(about_m).to_be_visible()
    type_at_the_top(page, "# mine\n")
    page.keyboard.press("Control+A")
    copied = editor(page).evaluate(
        """(element) => {
            const event = new ClipboardEvent("copy", {
                clipboardData: new DataTransfer(), bubbles: true, cancelable: true
            });
            element.dispatchEvent(event);
            return event.clipboardData.getData("text/plain");
        }"""
    )
    assert copied == "# mine\n" + sources.original(path_of("optim.py"))

    line = "        self.m, self.v = model.zeros(), model.zeros()\n"
    put(page, "optim.py", copied.replace(line, ""))
    page.keyboard.press("Control+Home")
    expect(shown.first).to_be_attached()
    expect(about_m).to_have_count(0)  # what it is about is gone

    page.reload()
    wait_for(page, "ready")
    expect(shown.first).to_be_attached()  # it is remembered
    show(page, "rng.py")
    expect(page.locator(".coding").get_by_text("No notes on this file.")).to_be_visible()
    button(page, "Hide notes").click()
    show(page, "train.py")
    expect(shown).to_have_count(0)
