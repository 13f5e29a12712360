"""The look inside in a real Chromium: what it tells is what NumPy finds in the same weights."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from driving import button, fill, open_page, type_at_the_console, wait_for
from playwright.sync_api import Page, expect

from groundling.data import shakespeare
from groundling.devices.numpy import NumPyDevice
from groundling.labs.lens import Lens
from groundling.model import GPT
from groundling.runs import checkpoint

SITE = Path(__file__).parents[2] / "site"
REFERENCE = next(SITE.rglob("public/**/tinker-shakespeare-hamlet-iter2000.bin"))
PROMPT = "JULIET:\nO Rom"


def shown(character: str) -> str:
    return {"\n": "↵", " ": "␣"}.get(character, character)


TELL_OLDER = """() => {
  globalThis.older = [];
  const at = (what) => document.querySelector(what);
  const look = () => {
    const seen = at("#view-inside .status")?.dataset.iter;
    const iter = parseInt(at("[data-readout=iter]").textContent);
    if (seen > iter) older.push([seen, iter]);
    globalThis.began ||= at("[data-phase]").dataset.phase === "training";
  };
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(look).observe(document.body, all);
}"""


def test_what_was_seen_of_a_run_goes_with_it(page: Page, site_url: str) -> None:
    """Another may begin at once: Python tells of both between two frames."""
    open_page(page, site_url)
    page.get_by_role("button", name="Skip the first look").click()
    page.get_by_role("tab", name="Look inside", exact=True).click()
    inside = page.locator("#view-inside")
    inside.get_by_label("Your run").check()
    fill(page, Iterations="3", Batch_size="1")
    button(page, "Start").click()
    wait_for(page, "done")
    inside.locator(".intro").scroll_into_view_if_needed()
    expect(inside.locator(".status")).to_have_attribute("data-iter", "3")
    page.evaluate(TELL_OLDER)
    button(page, "Run").click()
    page.wait_for_function("() => globalThis.began")
    assert page.evaluate("older") == []


def test_the_page_tells_what_the_weights_do(page: Page, site_url: str, axe: Callable) -> None:
    open_page(page, site_url)
    runner = page.locator(".runner")

    page.get_by_role("button", name="Skip the first look").click()  # it scrolls to its next stop

    # The reference model, which the Talk tab opens.
    page.get_by_role("tab", name="Talk", exact=True).click()
    expect(page.locator("[data-voice=reference]")).to_be_visible()
    page.get_by_role("tab", name="Look inside", exact=True).click()
    inside = page.locator("#view-inside")
    inside.get_by_label("The reference model").check()
    inside.get_by_label("Prompt").fill(PROMPT)
    grid = inside.get_by_role("slider", name="Guesses at each character")
    expect(grid).to_have_attribute("aria-valuemax", str(len(PROMPT)))

    corpus = shakespeare()
    ckpt = checkpoint.loads(REFERENCE.read_bytes(), corpus.vocab_hash)
    look = Lens(GPT(ckpt.config, NumPyDevice(), ckpt.weights)).look(corpus.encode(PROMPT))
    told = grid.get_attribute("aria-valuetext")
    for layer, name in enumerate(("embeddings", *(f"after layer {i}" for i in range(1, 5)))):
        token = look.lens[layer, -1].argmax()
        character, share = re.search(rf"{name}: (.) ([\d.]+)%", told).groups()
        assert character == shown(corpus.vocab[token])
        assert abs(float(share) / 100 - look.lens[layer, -1, token]) < 0.006  # as it is rounded

    inside.get_by_role("button", name="2.3: layer 2, head 3", exact=True).click()
    large = inside.get_by_role("slider", name="Layer 2, head 3")
    large.press("End")
    large.press("ArrowLeft")
    n = len(PROMPT)
    share = re.search(
        r"takes ([\d.]+)% from “(.)” \((\d+)\)", large.get_attribute("aria-valuetext")
    )
    assert share[2] == shown(PROMPT[-2]) and int(share[3]) == n - 1
    assert abs(float(share[1]) / 100 - look.attention[1, 2, n - 1, n - 2]) < 0.006

    axe("a look inside", "#view-inside")

    # A run of the reader's own, as it trains and where it rests.
    inside.get_by_label("Your run").check()
    expect(inside.locator(".empty")).to_contain_text("There is no run yet")
    fill(page, Iterations="100000", Batch_size="8")
    page.get_by_role("button", name="Start", exact=True).click()
    status = inside.locator(".status")
    for _ in range(60):  # what is not seen is not looked at, and the page grows as the run begins
        inside.locator(".intro").evaluate("(it) => it.scrollIntoView({block: 'center'})")
        if status.count():
            break
        page.wait_for_timeout(1000)
    expect(status).to_contain_text("Your run at iteration")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(runner).to_have_attribute("data-phase", "paused")
    inside.locator(".intro").evaluate("(it) => it.scrollIntoView({block: 'center'})")
    trained = page.locator("[data-readout=iter]").inner_text().split()[0]
    expect(inside.locator(".status")).to_have_attribute("data-iter", trained)
    expect(inside.locator(".layers")).to_contain_text(f"At iteration {trained}.")
    updates = inside.locator("td.update").all_inner_texts()
    assert len(updates) == 15
    assert all(1e-7 < float(update) < 1 for update in updates)
    norms = [float(x) for x in inside.locator(".layers tbody td:nth-child(6)").all_inner_texts()]
    assert np.linalg.norm(norms) < 1.01  # the gradient is clipped at 1

    # What is typed at the console while it rests.
    page.set_viewport_size({"width": 1440, "height": 6000})  # nothing is seen anew
    was = grid.get_attribute("aria-valuetext")
    type_at_the_console(page, "model.load(0 * model.weights())")
    expect(grid).not_to_have_attribute("aria-valuetext", was)
