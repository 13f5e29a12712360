"""Stop, in a real Chromium: edited code that never ends is ended, and the run is not lost."""

import re
import time
from pathlib import Path

import pytest
from driving import (
    TWO_CORES,
    WAIT_MS,
    button,
    fill,
    in_worker,
    iteration,
    open_page,
    pause,
    save_state,
    type_at_the_console,
    wait_for,
    wait_until_kept,
)
from playwright.sync_api import Page, expect

from groundling.runs import statefile

SOON = 5.0  # seconds, of which the page waits half; and what ten iterations take
TRAIN = (Path(__file__).parents[2] / "py_src/groundling/train.py").read_text(encoding="utf-8")
LINE = "        it = run.iter\n"


def endless(*body: str) -> str:
    """train.py with a loop from its third iteration on, which tells when it has begun."""
    tells = "__import__('js').BroadcastChannel.new('loop').postMessage('')"
    loop = ["if it >= 3:", f"    {tells}", "while it >= 3:", *(f"    {line}" for line in body)]
    return TRAIN.replace(LINE, LINE + "".join(f"        {line}\n" for line in loop))


ENDLESS = endless("pass")
WAITING = endless("run.model.parameters['wte'].numpy()")
EVALUATING = endless("evaluate(run)")
ON_TWO_CORES = "\n\nfrom .devices.wasm.cores import Trial\n\nTrial.cores = lambda trial: 2\n"

# The second core gets its first order after a step was made without it, and the rest at once.
LATE = """
  const order = Worker.prototype.postMessage, report = self.postMessage;
  let orders = 0, held = () => {};
  Worker.prototype.postMessage = function (...message) {
    console.log("order", ++orders);
    if (orders === 1) held = () => order.apply(this, message);
    else order.apply(this, message);
  };
  self.postMessage = (message, ...more) => {
    report(message, ...more);
    if (message.records?.length) { held(); held = () => {}; }
  };
"""

# The first iteration that the page tells of from now on. To poll for it would be too seldom.
FIRST = """() => {
  const read = () => document.querySelector('[data-readout="iter"]').textContent;
  const before = read();
  globalThis.first = new Promise((done) => {
    const look = () => read() !== before && done(read());
    new MutationObserver(look).observe(document.body, {
      subtree: true, childList: true, characterData: true,
    });
  });
}"""


# Seconds from the next press to a phase, by the page's own clock: from here one looks too seldom.
REACHED = """([phase, ms]) => {
  const place = document.querySelector("[data-phase]");
  globalThis.reached = new Promise((done, fail) => {
    const press = () => {
      const began = performance.now();
      const look = () => place.dataset.phase === phase && done((performance.now() - began) / 1000);
      new MutationObserver(look).observe(place, { attributes: true });
    };
    addEventListener("click", press, { once: true, capture: true });
    setTimeout(fail, ms, new Error(`not ${phase} in ${ms} ms`));
  });
}"""


def open_long(page: Page, url: str) -> None:
    page.add_init_script("new BroadcastChannel('loop').onmessage = () => (window.loops = true)")
    open_page(page, url)
    fill(page, Iterations="4000", Batch_size="8")


def write(page: Page, text: str) -> None:
    """Put a text in the editor, in place of train.py's."""
    editor = page.get_by_role("textbox", name="to edit")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    expect(editor).to_contain_text(text.split("\n")[-2])  # of the rest only what shows is there


def start(page: Page) -> float:
    """Begin, and give the seconds that an iteration takes, after the first."""
    button(page, "Start").click()
    wait_for(page, "training")
    times = []
    while len(times) < 2:
        expect(page.locator('[data-readout="iter"]')).not_to_have_text(
            re.compile(rf"^{len(times)} ")
        )
        times.append((time.monotonic(), iteration(page)))
    (then, first), (now, last) = times
    return (now - then) / max(1, last - first)


def pressed_until(page: Page, name: str, phase: str) -> float:
    """Seconds from pressing a button to a phase, once the worker is in its loop."""
    page.wait_for_function("() => window.loops", timeout=WAIT_MS)
    page.evaluate(REACHED, [phase, WAIT_MS])
    button(page, name).click()
    return page.evaluate("reached")


@pytest.mark.gpu
def test_a_loop_that_waits_for_the_gpu_is_stopped_and_the_run_goes_on_without_it(
    page: Page, site_url: str
):
    open_long(page, site_url)
    write(page, WAITING)
    pace = start(page)
    took = pressed_until(page, "Pause", "error")
    print(f"stopped after {took:.1f} s, at {pace:.2f} s an iteration")
    assert took < SOON + 10 * pace
    number = WAITING[: WAITING.index("            run.model.parameters['wte']")].count("\n") + 1
    frame = page.get_by_role("button", name=f"train.py, line {number} in train")
    expect(frame).to_be_visible()
    write(page, TRAIN)
    button(page, "Apply").click()
    wait_for(page, "paused")
    button(page, "Resume").click()
    wait_for(page, "training")
    expect(page.locator('[data-readout="iter"]')).to_have_text(re.compile(r"^([4-9]|\d\d+) "))


def test_a_loop_that_waits_for_a_second_core_is_stopped(page: Page, site_url: str):
    in_worker(page, TWO_CORES)
    open_long(page, site_url)
    fill(page, Batch_size="32")
    write(page, EVALUATING + ON_TWO_CORES)
    start(page)
    pressed_until(page, "Pause", "error")  # it is not ended with the run
    expect(page.get_by_role("button", name=re.compile("line .* in evaluate"))).to_be_visible()


def test_a_second_core_that_is_late_is_used_once_it_has_answered(page: Page, site_url: str):
    in_worker(page, TWO_CORES + LATE)
    open_page(page, site_url)
    fill(page, Iterations="100", Batch_size="2")
    write(page, TRAIN + ON_TWO_CORES)
    with page.expect_console_message(lambda message: message.text == "order 2", timeout=WAIT_MS):
        button(page, "Start").click()
    wait_for(page, "done")
    late = statefile.loads(save_state(page)).state.weights
    button(page, "Reset").click()
    button(page, "Start").click()
    wait_for(page, "done")
    assert statefile.loads(save_state(page)).state.weights.tobytes() == late.tobytes()


def test_a_loop_without_a_wait_is_ended_and_the_run_offered_from_its_last_copy(
    page: Page, site_url: str
):
    open_long(page, site_url)
    pace = start(page)
    pause(page, 3)  # where the loop begins
    kept = iteration(page)
    write(page, ENDLESS)
    button(page, "Resume").click()
    wait_for(page, "training")
    at = page.locator('[data-readout="iter"]')
    expect(at).not_to_have_text(re.compile(rf"^{kept} "))
    button(page, "Apply").click()
    expect(page.locator(".standing")).to_contain_text("Pause ends it")
    took = pressed_until(page, "Pause", "booting")
    print(f"ended after {took:.1f} s, at {pace:.2f} s an iteration")
    assert took < SOON + 10 * pace
    wait_for(page, "ready")
    write(page, TRAIN)
    offer = page.get_by_role("button", name=re.compile(r"^Continue from iteration \d+$"))
    last = int(offer.inner_text().split()[-1])
    assert last >= kept  # more where another copy was due meanwhile
    page.evaluate(FIRST)
    offer.click()
    first = page.evaluate("first").partition(" ")[0]
    assert int(first) in (last, last + 1, last + 2)
    wait_for(page, "training")


def test_code_that_never_comes_to_begin_a_run_is_ended(page: Page, site_url: str):
    open_page(page, site_url)
    write(page, f"{TRAIN}\nwhile True:\n    pass\n")
    button(page, "Start").click()
    expect(page.locator(".standing")).to_contain_text("Reset ends it")
    button(page, "Reset").click()
    ended = page.get_by_role("main").get_by_text("Python did not answer. It was ended")
    expect(ended).to_be_visible()
    expect(ended).not_to_contain_text("The run is lost")
    wait_for(page, "ready")
    write(page, TRAIN)
    fill(page, Iterations="1", Batch_size="8")
    button(page, "Start").click()
    wait_for(page, "done")


def test_what_was_typed_and_never_ends_is_ended_when_that_is_asked_for_twice(
    page: Page, site_url: str
):
    open_long(page, site_url)
    button(page, "Start").click()
    pause(page, 2)
    at = iteration(page)
    wait_until_kept(page, at)
    type_at_the_console(page, "while True: pass")
    console = page.get_by_role("region", name="Console")
    console.get_by_role("button", name="Stop it").click()
    console.get_by_role("button", name="End Python").click()
    wait_for(page, "ready")
    expect(button(page, f"Continue from iteration {at:,}")).to_be_visible()
