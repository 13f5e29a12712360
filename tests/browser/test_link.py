"""Runs as links, in a real Chromium: made, opened, replayed and refused.

Most runs are on the CPU, which is faster here than the software GPU.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from driving import button, fill, open_page, pressing, wait_for
from playwright.sync_api import Browser, Locator, Page, expect

from groundling.edits import project
from groundling.labs import link

SEED = "<img src=x onerror=alert(1)>"


def wait_for_verdict(page: Page, verdict: str) -> Locator:
    place = page.locator("[data-replay-verdict]")
    expect(place).to_have_attribute("data-replay-verdict", verdict)
    return place


def train(page: Page, seed: str, iters: int) -> None:
    fill(page, Seed=seed, Iterations=str(iters), Batch_size="8")
    button(page, "Start").click()
    wait_for(page, "done")


def copy(page: Page) -> str:
    """The address that Copy link makes."""
    button(page, "Copy link").click()
    field = page.get_by_label(re.compile("^The link, "))
    expect(field).to_be_visible()
    return field.input_value()


@pytest.fixture(scope="module")
def address(chromium: Browser, site_url: str) -> str:
    """The link of a run of five iterations on the CPU, whose seed is markup."""
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(site_url)
    wait_for(page, "ready")
    expect(button(page, "Copy link")).to_be_disabled()
    train(page, SEED, 5)
    address = copy(page)
    told = page.get_by_role("main").get_by_text(re.compile(r"^The link, [\d,]+ characters: copied"))
    expect(told).to_have_text(f"The link, {len(address):,} characters: copied")
    assert page.evaluate("navigator.clipboard.readText()") == address
    button(page, "Reset").click()
    expect(told).to_be_hidden()

    # The link to the edits: copied as it is asked for, and not whenever it is shown.
    button(page, "Keep and share").click()
    button(page, "Copy link to the edits").click()
    expect(told).to_be_visible()
    assert "#code=" in page.evaluate("navigator.clipboard.readText()")
    page.evaluate("navigator.clipboard.writeText('mine')")
    button(page, "Keep and share").click()
    button(page, "Keep and share").click()
    expect(told).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "mine"
    context.close()
    return address


def test_a_browser_that_copies_only_in_the_moment_of_the_press_copies_the_link(
    page: Page, site_url: str
) -> None:
    """As Safari does: what is written later than the press is denied."""
    page.add_init_script(
        """
        let pressed = false, copied = "";
        addEventListener("click", () => {
            pressed = true;
            queueMicrotask(() => setTimeout(() => (pressed = false)));
        }, true);
        const denied = async () => { throw new DOMException("denied", "NotAllowedError"); };
        const write = async ([item]) => {
            if (!pressed) return denied();
            copied = await (await item.getType("text/plain")).text();
        };
        const value = { write, writeText: denied };
        Object.defineProperty(navigator, "clipboard", { value, configurable: true });
        window.clipboardHas = () => copied;
        """
    )
    page.goto(site_url)
    wait_for(page, "ready")
    train(page, "mine", 1)
    link = copy(page)
    expect(page.get_by_label(re.compile("^The link, .*: copied$"))).to_be_visible()
    assert page.evaluate("clipboardHas()") == link
    button(page, "Keep and share").click()
    button(page, "Copy link to the edits").click()
    made = page.locator(".projects .made")
    expect(made).to_contain_text(": copied")
    assert page.evaluate("clipboardHas()") == made.locator("input").input_value()

    # A page from plain http has no clipboard: the link is selected, for the reader to copy.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    button(page, "Copy link").click()
    field = page.get_by_label(re.compile("^The link, .*: the browser did not copy it"))
    expect(field).to_be_visible()
    selected = "(field) => field.value.slice(field.selectionStart, field.selectionEnd)"
    assert field.evaluate(selected) == field.input_value()


def test_the_link_and_the_embed_are_made_also_where_both_are_asked_for_at_once(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    train(page, "mine", 1)
    page.evaluate(f"{pressing('Copy link')}; {pressing('Copy embed')}")
    link = page.get_by_label(re.compile("^The link, "))
    expect(link).to_be_visible()
    embed = page.get_by_label(re.compile("^The embed, "))
    expect(embed).to_have_value(re.compile(link.input_value().partition("#")[2]))


def test_a_link_that_was_dismissed_does_not_come_back_with_another_device(
    page: Page, site_url: str
) -> None:
    edits = project.Project("theirs", {"py_src/groundling/train.py": "print(1)\n"})
    page.goto(f"{site_url}#{project.to_link(edits)}")
    wait_for(page, "ready")
    offered = page.get_by_role("region", name="edits to read")
    expect(offered).to_contain_text("Nothing of them has run")
    page.evaluate("document.querySelector('.news').scrollIntoView()")
    button(page, "Not now").click()
    expect(offered).to_have_count(0)
    wait_for(page, "ready")
    fill(page, Iterations="1", Batch_size="8")
    button(page, "Start").click()
    wait_for(page, "done")  # what the link would have been asked for before has been answered
    expect(offered).to_have_count(0)


def test_a_link_shows_what_it_claims_and_a_replay_is_bit_identical(
    page: Page, address: str
) -> None:
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.goto(address)
    wait_for(page, "ready")
    panel = wait_for_verdict(page, "none")
    claimed = link.loads(address)
    for fact in (SEED, "5 of 5 iterations", "wasm: WebAssembly on the CPU", "the same as here"):
        expect(panel).to_contain_text(fact)
    expect(panel).to_contain_text(f"{claimed.val_loss:.4f}")
    assert panel.locator("img, script").count() == 0
    page.wait_for_timeout(500)
    wait_for(page, "ready")  # nothing runs by itself
    wait_for_verdict(page, "none")

    train(page, "mine", 3)
    button(page, "Replay").click()
    wait_for_verdict(page, "identical")
    expect(panel).to_contain_text("Bit-identical: all 5 losses and all weights")
    wait_for(page, "done")  # and the run beside it is as it was
    assert page.locator('[data-readout="iter"]').inner_text() == "3 / 3"
    assert link.loads(copy(page)).config.seed == "mine"

    button(page, "Dismiss").click()
    expect(panel).to_be_hidden()
    assert "#" not in page.url
    expect(button(page, "Reset")).to_be_focused()
    assert errors == []


@pytest.mark.gpu
def test_another_adapter_is_within_tolerance_and_both_are_named(
    page: Page, site_url: str, address: str
) -> None:
    page.goto(site_url)
    wait_for(page, "ready")
    page.evaluate("(hash) => { location.hash = hash }", address.partition("#")[2])
    panel = wait_for_verdict(page, "none")
    expect(panel).to_contain_text("here: webgpu")
    button(page, "Replay").focus()
    page.keyboard.press("Enter")
    wait_for_verdict(page, "close")
    expect(panel).to_contain_text("Within tolerance, not to the bit")
    expect(panel).to_contain_text("The link's run was on wasm: WebAssembly on the CPU")
    expect(panel).to_contain_text("this one on webgpu: ")
    expect(button(page, "Replay")).to_be_focused()


def test_a_claim_that_is_not_so_is_found_out_and_a_replay_can_be_stopped(
    page: Page, site_url: str, address: str
) -> None:
    claimed = link.loads(address)
    false = replace(claimed, losses=claimed.losses | {3: claimed.losses[3] - 0.5})
    page.goto(f"{site_url}#{link.dumps(false)}")
    wait_for(page, "ready")
    button(page, "Replay").click()
    panel = wait_for_verdict(page, "different")
    expect(panel).to_contain_text("Different: from iter 3 on")

    n = 1_000_000  # so the second recorded loss, which ends the replay, is far off
    long = replace(claimed, config=replace(claimed.config, iters=n), iter=n)
    long = replace(long, losses=dict.fromkeys(link.recorded(n), claimed.losses[0]))
    page.evaluate("(hash) => { location.hash = hash }", link.dumps(long))
    expect(panel).to_contain_text("1,000,000 of 1,000,000 iterations")
    wait_for_verdict(page, "none")
    button(page, "Replay").click()
    wait_for_verdict(page, "running")
    expect(panel).to_contain_text("1 of 64 recorded losses checked")
    button(page, "Stop replay").click()
    wait_for_verdict(page, "stopped")
    expect(panel).to_contain_text("of 1,000,000. 1 of 64 recorded losses checked")
    wait_for(page, "ready")


NO_LINKS = [
    ("<script>alert(1)</script>", "which no link has"),
    ("%3Cimg%20src=x%20onerror=alert(1)%3E", "which no link has"),
    ("A" * 1_000_000, "The link has 1,000,000 characters"),
    ("eyJ2IjoyfQ", "The link's version is 2; only 1 can be replayed"),
    ("eyJ2IjoxLCJjb2RlX3RvX3J1biI6ImltcG9ydCBvcyJ9", "The link is wrong"),
]


def test_what_is_no_link_is_refused_and_nothing_runs(
    page: Page, site_url: str, address: str
) -> None:
    """A script, markup, a megabyte, another version, code, one that is cut short: the first as the
    page is opened, the others in a page that is open.
    """
    heard = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    cut = address.partition("#")[2][:-100]
    for i, (fragment, told) in enumerate([*NO_LINKS, (cut, "cut short or damaged")]):
        if i == 0:
            page.goto(f"{site_url}#{fragment}")
        else:
            page.evaluate("(hash) => { location.hash = hash }", fragment)
        wait_for(page, "ready")
        panel = page.get_by_role("region", name="This link cannot be read")
        expect(panel).to_contain_text(told)
        assert len(panel.inner_text()) < 400
        expect(button(page, "Replay")).to_have_count(0)
        assert panel.locator("img, script").count() == 0
        wait_for(page, "ready")
        button(page, "Dismiss").click()
        expect(panel).to_be_hidden()
        expect(button(page, "Start")).to_be_focused()
    assert heard == []


def test_axe_finds_nothing(page: Page, address: str, axe: Callable) -> None:
    """Of a claim, a verdict, a link made, a refusal."""
    page.goto(address)
    wait_for(page, "ready")
    axe("claim")
    button(page, "Replay").click()
    wait_for_verdict(page, "identical")
    axe("verdict")
    train(page, "mine", 3)
    copy(page)
    axe("a link made")
    page.evaluate("location.hash = 'no-link!'")
    expect(page.get_by_role("heading", name="This link cannot be read")).to_be_visible()
    axe("refusal")
