"""The page in a real Chromium: what a reader does with it, and what they see.

Chromium has only a software GPU here, on which a step takes about a second: runs are short.
"""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import (
    WAIT_MS,
    button,
    fill,
    in_worker,
    iteration,
    open_page,
    press,
    readout,
    tell_worker,
    wait_for,
    wait_for_iteration,
    without_gpu,
)
from playwright.sync_api import Browser, Download, Page, expect

from groundling import checkpoint
from groundling.corpus import shakespeare

HERE = Path(__file__).parent
REFERENCE = next((HERE.parents[1] / "site/public").rglob("tinker-shakespeare-hamlet-iter2000.bin"))
READOUTS = ("iter", "iters-per-second", "elapsed", "lr", "train-nll", "val-nll")


# ---- what the tests do with a page -------------------------------------------------------------


def save(page: Page) -> Download:
    with page.expect_download() as download:
        press(page, "Save weights")
    return download.value


# ---- the main way through ------------------------------------------------------------------------


def test_the_loss_falls_and_the_weights_can_be_saved_and_loaded(
    page: Page, site_url: str, chromium: Browser
) -> None:
    """Start, pause, save, the same again elsewhere, load, resume."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    open_page(page, site_url)
    assert "WebGPU" in page.get_by_role("group", name="Device").inner_text()
    assert readout(page, "iter") == "0 / 2000"
    fill(page, Iterations="12", Batch_size="8", Peak_learning_rate="0.001")

    press(page, "Start")
    wait_for(page, "training")
    wait_for_iteration(page, 4)
    press(page, "Pause")
    wait_for(page, "paused")
    at, elapsed = iteration(page), readout(page, "elapsed")
    assert 4 <= at < 12
    page.wait_for_timeout(1500)
    assert (iteration(page), readout(page, "elapsed")) == (at, elapsed)

    press(page, "Resume")
    wait_for(page, "done")
    assert readout(page, "iter") == "12 / 12"
    assert 3.5 < float(readout(page, "train-nll")) < 4.16
    assert float(readout(page, "val-nll")) < 4.15
    assert all(readout(page, name) != "" for name in READOUTS)

    first = save(page)
    assert first.suggested_filename == "tinker-shakespeare-hamlet-iter12.bin"
    data = Path(first.path()).read_bytes()
    ckpt = checkpoint.loads(data, shakespeare().vocab_hash)
    assert (ckpt.seed, ckpt.iter, len(ckpt.weights)) == ("hamlet", 12, 206_016)
    assert ckpt.val_loss == pytest.approx(float(readout(page, "val-nll")), abs=1e-4)

    # The same run again: reset, and this time without a pause.
    press(page, "Reset")
    wait_for(page, "ready")
    assert readout(page, "iter") == "0 / 12"
    press(page, "Start")
    wait_for(page, "done")
    second = Path(save(page).path()).read_bytes()
    assert sha256(second) == sha256(data)

    # The file in a page of its own.
    other = chromium.new_page()
    open_page(other, site_url)
    fill(other, Iterations="14", Batch_size="8")
    with other.expect_file_chooser() as chooser:
        press(other, "Load weights")
    chooser.value.set_files(first.path())
    wait_for(other, "paused")
    assert readout(other, "iter") == "12 / 14"
    expect(other.get_by_label("Seed", exact=True)).to_have_value("hamlet")
    expect(other.locator(".chip .note")).to_contain_text("averages and the order of the batches")
    press(other, "Resume")
    wait_for(other, "done")
    assert float(readout(other, "train-nll")) < 4.0
    other.close()
    assert errors == []


def sha256(file: bytes) -> str:
    """Of the weights: the header has the time."""
    return hashlib.sha256(file[checkpoint.HEADER_BYTES :]).hexdigest()


def test_a_file_can_be_dropped_and_one_that_is_none_is_refused(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    page.evaluate(
        """() => {
            const carried = new DataTransfer();
            carried.items.add(new File(["no weights"], "cat.bin"));
            dispatchEvent(new DragEvent("drop", { dataTransfer: carried, cancelable: true }));
        }"""
    )
    expect(page.get_by_role("heading", name="This file was refused")).to_be_visible()
    expect(page.get_by_text("fewer than the 512")).to_be_visible()
    wait_for(page, "ready")


def test_the_log_comes_as_csv_and_the_chart_can_be_read_by_keyboard(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
    press(page, "NumPy")
    wait_for(page, "ready")
    fill(page, Iterations="6", Batch_size="8")
    press(page, "Start")
    wait_for(page, "done")
    with page.expect_download() as download:
        press(page, "Download CSV")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "iter,train,smooth,lr,val"
    assert len(lines) == 7
    chart = page.get_by_role("slider", name=re.compile("Loss curve"))
    chart.focus()
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"^iteration 1: batch 4\.\d+"))


# ---- pauses, keys, and eyes ----------------------------------------------------------------------


def test_a_hidden_tab_pauses_and_goes_on_where_it_was(page: Page, site_url: str) -> None:
    page.add_init_script(
        """
        let shown = "visible";
        Object.defineProperty(document, "visibilityState", { get: () => shown });
        window.show = (state) => {
            shown = state;
            document.dispatchEvent(new Event("visibilitychange"));
        };
        """
    )
    open_page(page, site_url)
    fill(page, Iterations="300", Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    page.evaluate("show('hidden')")
    wait_for(page, "paused")
    expect(page.get_by_role("heading", name="Paused while this tab is hidden")).to_be_visible()
    at, elapsed = iteration(page), readout(page, "elapsed")
    page.wait_for_timeout(1500)
    assert (iteration(page), readout(page, "elapsed")) == (at, elapsed)
    page.evaluate("show('visible')")
    wait_for(page, "training")
    wait_for_iteration(page, at + 1)

    press(page, "Pause")
    wait_for(page, "paused")
    page.evaluate("show('hidden')")
    page.evaluate("show('visible')")
    page.wait_for_timeout(500)
    wait_for(page, "paused")

    press(page, "Reset")
    wait_for(page, "ready")
    press(page, "Undo")
    wait_for(page, "paused")
    assert iteration(page) > at


def test_the_page_works_by_keyboard_alone(page: Page, site_url: str) -> None:
    open_page(page, site_url)

    def tab_to(what: Callable[[], bool]) -> None:
        for _ in range(40):
            if what():
                return
            page.keyboard.press("Tab")
        pytest.fail("Tab never got there.")

    def focused() -> str:
        return page.evaluate(
            "document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent"
        )

    tab_to(lambda: focused() == "Iterations")
    page.keyboard.press("Control+A")
    page.keyboard.type("200")
    tab_to(lambda: focused() == "Batch size")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Batch size", exact=True)).to_have_value("8")
    page.keyboard.press("Tab")
    button(page, "Start").focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.down("Enter")
    wait_for(page, "training")
    assert outline == "solid"
    expect(button(page, "Pause")).to_be_focused()  # the focus goes on to what is now of use
    page.keyboard.down("Enter")  # as a key that is held down repeats itself
    wait_for_iteration(page, iteration(page) + 2)
    page.keyboard.up("Enter")
    page.keyboard.press("Space")
    wait_for(page, "paused")
    expect(button(page, "Resume")).to_be_focused()
    expect(page.locator(".runner").get_by_role("status")).to_contain_text("Paused")


def test_axe_finds_nothing(page: Page, site_url: str, axe: Callable) -> None:
    """Booting, ready, training (with a popover open), done, and of any panel."""
    without_gpu(page)
    page.goto(site_url)
    axe("booting")
    wait_for(page, "ready")
    axe("ready, without WebGPU")
    fill(page, Iterations="1000", Batch_size="8")
    press(page, "Start")
    wait_for(page, "training")
    press(page, "Perplexity")
    axe("training")
    page.keyboard.press("Escape")
    press(page, "Reset")
    wait_for(page, "ready")
    axe("undo")
    fill(page, Iterations="1")
    press(page, "Start")
    wait_for(page, "done")
    axe("done")
    page.locator(".runner input[type=file]").set_input_files(
        {"name": "cat.bin", "mimeType": "image/png", "buffer": b"meow"}
    )
    expect(page.get_by_role("heading", name="This file was refused")).to_be_visible()
    axe("refused")
    page.get_by_role("tab", name="Talk").click()  # tabs that have no test of their own, by keys
    for key, name in (("Home", "Text and model"), ("End", "Credits"), ("ArrowLeft", "Speed")):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        axe(name, "#views")
    speed = page.locator("[data-speed]")
    speed.get_by_role("button", name="Measure").press("Enter")
    expect(speed.get_by_role("progressbar", name="Measured so far")).to_be_visible()
    expect(speed.get_by_text("Training some steps")).to_be_visible()
    axe("Speed, measuring", "#views")
    speed.get_by_role("button", name="Stop measuring").press("Enter")
    expect(speed.get_by_text("Stopped before the end.")).to_be_visible(timeout=WAIT_MS)
    expect(speed.get_by_role("button", name="Measure again")).to_be_focused()


def test_the_theme_can_be_chosen_and_is_kept(page: Page, site_url: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(site_url)

    def background() -> int:
        red = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(re.search(r"\d+", red)[0])

    assert background() > 200
    toggle = page.get_by_role("button", name=re.compile("Colours"))
    toggle.click()
    toggle.click()
    assert background() < 60
    page.reload()
    expect(toggle).to_have_text(re.compile("Dark"))
    assert background() < 60


def test_the_page_can_be_read_within_a_second(page: Page, site_url: str) -> None:
    page.goto(site_url, wait_until="commit")
    expect(page.get_by_role("heading", name="Groundling")).to_be_visible(timeout=1000)
    paints = "performance.getEntriesByType('paint').map((paint) => paint.startTime)"
    deadline = time.monotonic() + WAIT_MS / 1000  # the page's policy has no wait_for_function
    while not (found := page.evaluate(paints)):
        assert time.monotonic() < deadline, "nothing was painted"
        page.wait_for_timeout(10)
    assert max(found) < 1000


def test_fields_that_cannot_be_are_told_where_they_stand(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    fill(page, Batch_size="12.5")
    field = page.get_by_label("Batch size", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    press(page, "Start")
    expect(field).to_be_focused()
    expect(page.locator("#fields-note")).to_contain_text("A whole number from 1 to 4,096.")
    fill(page, Batch_size="3")  # what the schema of Text and model allows is allowed here
    expect(field).to_have_attribute("aria-invalid", "false")
    page.get_by_label("Seed", exact=True).fill("é" * 34)
    expect(page.locator("#fields-note")).to_contain_text("It takes 204 characters of 200.")
    wait_for(page, "ready")


# ---- what is missing, and what goes wrong --------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "script"),
    [
        ("no WebGPU", "delete WorkerNavigator.prototype.gpu"),
        ("Python wait", "delete WebAssembly.Suspending; delete WebAssembly.promising"),
        ("GPU could not", "GPU.prototype.requestAdapter = async () => null"),
        (
            "GPU could not",
            """const make = GPUDevice.prototype.createComputePipelineAsync;
            GPUDevice.prototype.createComputePipelineAsync = function (pipeline) {
                pipeline.compute.entryPoint = "ha";
                return make.call(this, pipeline);
            };""",
        ),
        ("secure address", "Object.defineProperty(self, 'isSecureContext', { value: false })"),
    ],
)
def test_without_what_webgpu_needs_the_page_says_so_and_trains_on_numpy(
    page: Page, site_url: str, missing: str, script: str
) -> None:
    in_worker(page, script)
    open_page(page, site_url)
    expect(page.get_by_role("heading", name=missing)).to_be_visible()
    expect(page.get_by_text("with NumPy on the CPU")).to_be_visible()
    if "Pipeline" in script:
        expect(page.get_by_text(re.compile("Kernel adamw does not compile"))).to_be_visible()
    fill(page, Iterations="4", Batch_size="8", Peak_learning_rate="0.001")
    press(page, "Start")
    wait_for_iteration(page, 1)
    press(page, "Pause")
    wait_for(page, "paused")
    press(page, "Resume")
    wait_for(page, "done")
    assert float(readout(page, "train-nll")) == pytest.approx(4.1908, abs=2e-4)  # as natively
    assert checkpoint.loads(Path(save(page).path()).read_bytes()).iter == 4


def test_a_lost_gpu_leaves_the_run_to_be_saved(page: Page, site_url: str) -> None:
    in_worker(
        page,
        """
        const request = GPUAdapter.prototype.requestDevice;
        let first; // which is the one that the kernels are compiled for ahead: Python's, too
        GPUAdapter.prototype.requestDevice = async function (...options) {
            const device = await request.apply(this, options);
            first ??= device;
            on.push(() => first.destroy());
            return device;
        }
        """,
    )
    open_page(page, site_url)
    fill(page, Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    press(page, "Pause")
    wait_for(page, "paused")
    at, loss = iteration(page), readout(page, "train-nll")
    tell_worker(page)
    wait_for(page, "error")
    expect(page.get_by_role("heading", name="The GPU went away")).to_be_visible()
    assert (iteration(page), readout(page, "train-nll")) == (at, loss)
    assert checkpoint.loads(Path(save(page).path()).read_bytes()).iter == at
    press(page, "Reset")
    wait_for(page, "ready")
    press(page, f"Continue from iteration {at}")
    wait_for_iteration(page, at + 1)


def test_a_worker_that_hangs_is_ended_and_the_next_one_is_given_what_it_had(
    page: Page, site_url: str
) -> None:
    """The models of Talk, the reader's text and their choice of model; what the ended worker still
    says is not heard.
    """
    page.add_init_script(
        """
        window.workers = [];
        window.Worker = class extends Worker {
            constructor(...options) { super(...options); workers.push(this); }
        };
        """
    )
    in_worker(page, "on.push(() => { for (;;); })")
    open_page(page, site_url)
    press(page, "NumPy")
    wait_for(page, "ready")
    page.get_by_role("tab", name="Talk", exact=True).click()
    talk = page.locator(".tool.talk")
    reference = talk.locator("[data-voice=reference]")
    expect(reference).to_be_visible(timeout=WAIT_MS)
    talk.get_by_role("radio", name="Your file").check()
    talk.locator("input[type=file]").set_input_files(REFERENCE)
    expect(talk.locator("[data-voice=file]")).to_contain_text("iteration 2,000", timeout=WAIT_MS)
    page.get_by_role("tab", name="Text and model").click()
    tab = page.locator(".tool.text")
    text = {"name": "rhyme.txt", "mimeType": "text/plain", "buffer": b"Tick, tock.\n" * 400}
    tab.get_by_label("Text files").set_input_files(text)
    expect(tab).to_contain_text("rhyme.txt: 4,800 bytes", timeout=WAIT_MS)
    tab.get_by_role("button", name="tiny", exact=True).click()
    expect(tab.get_by_label("Width", exact=True)).to_have_value("48")
    tab.get_by_role("button", name="Use this model").click()
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()
    press(page, "Start")
    wait_for_iteration(page, 2)
    tell_worker(page)
    press(page, "Pause")
    wait_for(page, "booting")
    expect(page.get_by_text("Python did not answer")).to_be_visible()
    late = {"type": "phase", "phase": "done", "reason": "", "undo": None}
    page.evaluate("(data) => { workers[0].onmessage(new MessageEvent('message', { data })) }", late)
    wait_for(page, "booting")
    wait_for(page, "ready")
    expect(tab).to_contain_text("rhyme.txt: 4,800 bytes", timeout=WAIT_MS)
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()
    expect(tab.get_by_label("Width", exact=True)).to_have_value("48")
    page.get_by_role("tab", name="Talk", exact=True).click()
    expect(talk.locator("[data-voice=file]")).to_contain_text("iteration 2,000", timeout=WAIT_MS)
    talk.get_by_role("radio", name="Reference").check()
    expect(reference).to_contain_text("iteration 2,000", timeout=WAIT_MS)


def test_a_worker_is_not_ended_for_time_in_which_nothing_was_asked_of_it(
    page: Page, site_url: str
) -> None:
    """As when a laptop sleeps, or the page is busy: the clock is far on, and it has answered."""
    page.add_init_script(
        """
        const now = performance.now.bind(performance);
        let slept = 0;
        performance.now = () => now() + slept;
        window.sleep = (ms) => (slept += ms);
        """
    )
    busy = "const until = performance.now() + 1000; while (performance.now() < until);"
    in_worker(page, f"on.push(() => {{ {busy} }})")
    open_page(page, site_url)
    press(page, "NumPy")
    wait_for(page, "ready")
    fill(page, Iterations="1", Batch_size="8")
    press(page, "Start")
    wait_for(page, "done")
    tell_worker(page)
    press(page, "Reset")
    page.evaluate("sleep(60_000)")
    wait_for(page, "ready")
    expect(page.get_by_text("Python did not answer")).to_have_count(0)
    expect(button(page, "Undo")).to_be_visible()  # the run is still there


def test_a_python_that_fails_as_a_whole_says_so_and_reset_starts_another(
    page: Page, site_url: str
) -> None:
    failing = "MessageChannel = function () { throw new Error('memory access out of bounds') }"
    in_worker(page, f"on.push(() => {{ {failing} }})")
    open_page(page, site_url)
    press(page, "NumPy")
    wait_for(page, "ready")
    fill(page, Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    tell_worker(page)
    wait_for(page, "error")
    panel = page.get_by_role("region", name="Python stopped")
    expect(panel).to_contain_text("Its runtime failed: memory access out of bounds")
    press(page, "Reset")
    wait_for(page, "ready")
    expect(panel).to_have_count(0)


def test_a_loss_that_is_no_number_stops_the_run(page: Page, site_url: str) -> None:
    """From weights that overflow: made here, finite, and far too large."""
    open_page(page, site_url)
    press(page, "NumPy")
    wait_for(page, "ready")
    fill(page, Iterations="9", Batch_size="8")
    press(page, "Start")
    wait_for(page, "done")
    ckpt = checkpoint.loads(Path(save(page).path()).read_bytes())
    ckpt.weights[:] = 3e38
    ckpt.iter = 5
    page.locator(".runner input[type=file]").set_input_files(
        {
            "name": "large.bin",
            "mimeType": "application/octet-stream",
            "buffer": checkpoint.dumps(ckpt),
        }
    )
    wait_for(page, "paused")
    press(page, "Resume")
    wait_for(page, "error")
    expect(page.get_by_role("heading", name="no longer a number")).to_be_visible()
    assert iteration(page) == 5
