"""States in a real Chromium: what is saved, or kept by the page, goes on to the same bytes."""

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

from driving import (
    WAIT_MS,
    at_iteration,
    button,
    fill,
    iteration,
    load,
    open_page,
    pause,
    press,
    pressing,
    save_state,
    wait_for,
    wait_until_kept,
)
from playwright.sync_api import Page, expect

from groundling.runs import statefile
from groundling.runs.statefile import Saved

KILLS = int(os.environ.get("GROUNDLING_KILLS", 5))
VISIBILITY = """
let shown = "visible";
Object.defineProperty(document, "visibilityState", { get: () => shown });
window.show = (state) => {
    shown = state;
    document.dispatchEvent(new Event("visibilitychange"));
};
"""


ITERS = 120


def prepare(page: Page) -> None:
    fill(page, Iterations=str(ITERS), Batch_size="8")


def assert_same(found: bytes, expected: Saved) -> None:
    """To the bit, but for the time."""
    ours, theirs = statefile.loads(found).state, expected.state
    for what in ("weights", "m", "v"):
        assert getattr(ours, what).tobytes() == getattr(theirs, what).tobytes(), what
    assert (ours.step, ours.batches, ours.validation) == (
        theirs.step,
        theirs.batches,
        theirs.validation,
    )
    assert ours.log == theirs.log


def test_half_a_run_and_a_reload_and_the_other_half_are_the_whole_run(
    page: Page, site_url: str
) -> None:
    """Through a file, with a pause and a hidden tab; then through autosave."""
    page.add_init_script(VISIBILITY)
    open_page(page, site_url)
    prepare(page)
    press(page, "Start")
    wait_for(page, "done", 2 * WAIT_MS)
    straight = statefile.loads(save_state(page))
    assert (straight.state.iter, straight.state.config.seed) == (ITERS, "hamlet")

    press(page, "Reset")
    wait_for(page, "ready")
    prepare(page)
    pause(page, 2, pressing("Start"))
    at_iteration(page, 3, "show('hidden')", pressing("Resume"))
    wait_for(page, "paused")
    pause(page, 5, "show('visible')")
    at = iteration(page)
    assert 5 <= at < ITERS
    half = save_state(page)

    page.reload()
    wait_for(page, "ready")
    load(page, "half.state", half)
    wait_for(page, "paused")
    assert iteration(page) == at
    expect(page.get_by_role("main").get_by_text("bit for bit")).to_be_visible()
    press(page, "Resume")
    wait_for(page, "done", 2 * WAIT_MS)
    assert_same(save_state(page), straight)

    press(page, "Reset")
    wait_for(page, "ready")
    prepare(page)
    at_iteration(page, 3, "show('hidden')", pressing("Start"))
    wait_for(page, "paused")
    at = iteration(page)
    wait_until_kept(page, at)
    page.reload()
    wait_for(page, "ready")
    expect(page.get_by_role("heading", name="A run can go on")).to_be_visible()
    press(page, f"Continue from iteration {at}")
    wait_for(page, "done", 2 * WAIT_MS)
    assert_same(save_state(page), straight)


def test_a_kept_run_is_offered_until_it_is_discarded_and_other_code_is_asked_about(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    prepare(page)
    pause(page, 2, pressing("Start"))
    wait_until_kept(page, at := iteration(page))
    mine = statefile.loads(save_state(page))
    page.reload()
    wait_for(page, "ready")
    expect(button(page, f"Continue from iteration {at}")).to_be_visible()

    mine.code_hash = "0" * 64
    load(page, "old.state", statefile.dumps(mine))
    expect(page.get_by_role("heading", name="This run began with something else")).to_be_visible()
    press(page, "Leave it")
    wait_for(page, "ready")
    load(page, "old.state", statefile.dumps(mine))
    press(page, "Go on with it")
    wait_for(page, "paused")
    assert iteration(page) == at
    expect(page.get_by_role("main").get_by_text(re.compile("other code"))).to_be_visible()

    page.reload()
    wait_for(page, "ready")
    press(page, "Discard")
    expect(button(page, f"Continue from iteration {at}")).to_have_count(0)
    press(page, "Undo")
    expect(button(page, f"Continue from iteration {at}")).to_be_visible()
    press(page, "Discard")
    expect(button(page, f"Continue from iteration {at}")).to_have_count(0)
    page.reload()
    wait_for(page, "ready")
    expect(page.get_by_role("heading", name="A run can go on")).to_have_count(0)


def test_axe_finds_nothing_in_what_is_offered(page: Page, site_url: str, axe: Callable) -> None:
    open_page(page, site_url)
    prepare(page)
    pause(page, 1, pressing("Start"))
    wait_until_kept(page, iteration(page))
    mine = statefile.loads(save_state(page))
    mine.code_hash = "0" * 64
    page.reload()
    wait_for(page, "ready")
    load(page, "old.state", statefile.dumps(mine))
    expect(button(page, "Go on with it")).to_be_visible()
    axe("two runs to go on with")


# A worker that writes to opfs.ts as autosave.py does: to a journal, then beside the last three,
# header last. It first tells what it found: the highest number whose body and journal have the
# SHA-256 that its header says.
WRITER = """
const [HEADER, JOURNAL] = [512, "0.log"];
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const same = (digest, bytes) => digest.every((byte, i) => byte === bytes[i]);
onmessage = async ({ data: url }) => {
    const { openStore } = await import(url);
    const store = await openStore();
    if ("keeping" in store) return postMessage({ problem: store.problem });
    const numbers = [-1, -1, -1, -1];
    let size = 0;
    for (let slot = 0; slot < 4; slot++) {
        const bytes = store.read(`${slot}.state`, 0, store.size(`${slot}.state`));
        if (bytes.length <= HEADER) continue;
        const [number, end] = [0, 68].map((at) => new DataView(bytes.buffer).getUint32(at));
        const journal = store.read(JOURNAL, 0, end);
        const whole =
            same(await sha256(bytes.subarray(HEADER)), bytes.subarray(4)) &&
            journal.length === end &&
            same(await sha256(journal), bytes.subarray(36));
        if (!whole || number < Math.max(...numbers)) continue;
        numbers[slot] = number;
        size = end;
    }
    postMessage({ found: Math.max(...numbers) });
    store.truncate(JOURNAL, size);
    for (let next = Math.max(...numbers) + 1; ; next++) {
        const file = `${numbers.indexOf(Math.min(...numbers))}.state`;
        const body = new Uint8Array(2_500_000).fill(next);
        const header = new Uint8Array(HEADER);
        const block = new Uint8Array(50_000).fill(next);
        store.write(JOURNAL, size, block);
        store.flush(JOURNAL);
        size += block.length;
        new DataView(header.buffer).setUint32(0, next);
        header.set(await sha256(body), 4);
        header.set(await sha256(store.read(JOURNAL, 0, size)), 36);
        new DataView(header.buffer).setUint32(68, size);
        store.truncate(file, 0);
        store.write(file, HEADER, body);
        store.flush(file);
        store.write(file, 0, header);
        store.flush(file);
        numbers[numbers.indexOf(Math.min(...numbers))] = next;
        postMessage({ saved: next });
    }
};
"""
BEGIN = """
async (source) => {
    const script = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    window.worker = new Worker(script, { type: "module" });
    window.saved = -1;
    return new Promise((resolve, reject) => {
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data }) => {
            if (data.problem) reject(new Error(data.problem));
            if (data.found !== undefined) resolve(data.found);
            if (data.saved !== undefined) window.saved = data.saved;
        };
        worker.postMessage(new URL("opfs.js", location.href).href);
    });
}
"""


def test_a_worker_that_is_ended_as_it_writes_leaves_files_that_can_be_read(
    page: Page, site_url: str
) -> None:
    """At random moments: Chromium ends a worker that is busy after two seconds more. What was said
    to be saved is there each time. (tests/unit has 100 more.) GROUNDLING_KILLS=50 makes it 50.
    """
    page.goto(f"{site_url}runner/pyodide_runner.html")
    chance, saved = random.Random(0), -1
    for ends in range(KILLS):
        found = page.evaluate(BEGIN, WRITER)
        assert found >= saved, f"after {ends} ends {saved} was lost"
        if ends % 2:  # however slow the disk is, some are written
            written = "(least) => saved >= least"
            page.wait_for_function(written, arg=found + 4, timeout=WAIT_MS)
        page.wait_for_timeout(chance.randrange(120))
        saved = max(found, page.evaluate("worker.terminate(), saved"))
    assert found >= KILLS, "hardly anything was written"
    print(f"{KILLS} ends, {saved} states said to be saved")


SENT = """
window.sent = [];
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...more) {
  sent.push(message.type);
  return post.call(this, message, ...more);
};
"""


def test_a_run_that_is_done_is_trained_further_and_its_weights_begin_another(
    page: Page, site_url: str
) -> None:
    page.add_init_script(SENT)
    open_page(page, site_url)
    fill(page, Iterations="4", Batch_size="2")
    press(page, "Start")
    wait_for(page, "done")
    expect(page.get_by_text("To train further, raise Iterations, then Resume.")).to_be_visible()
    length = page.get_by_label("Iterations", exact=True)
    length.fill("6")
    length.press("Enter")
    wait_for(page, "paused")
    rate = page.get_by_label("Peak learning rate", exact=True)
    rate.press("Control+a")
    rate.press_sequentially("9e-4")  # which begins as a 9
    rate.press("Tab")
    assert page.evaluate("sent.filter((type) => type === 'lr')") == ["lr"]
    press(page, "Resume")
    wait_for(page, "done")
    state = statefile.loads(save_state(page)).state
    assert state.changes == [(4, "iters", 4, 6), (4, "lr", 3e-4, 9e-4)]
    with page.expect_download() as download:
        press(page, "Save the best")
    assert download.value.suggested_filename.endswith("-best.bin")
    data = Path(download.value.path()).read_bytes()
    file = {"name": "best.bin", "mimeType": "application/octet-stream", "buffer": data}
    page.locator('input[aria-label="Weights to begin from"]').set_input_files(file)
    wait_for(page, "paused")
    expect(page.get_by_text("The run begins with the weights of seed 'hamlet'")).to_be_visible()
    assert iteration(page) == 0
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")
