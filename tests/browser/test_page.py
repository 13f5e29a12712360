"""The page in a real Chromium: what a reader does with it, and what they see.

Chromium has only a software GPU here, on which a step takes about a second: runs are short.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import (
    TWO_CORES,
    WAIT_MS,
    button,
    device,
    fill,
    hold_workers,
    in_holding_worker,
    in_worker,
    iteration,
    open_page,
    pause,
    press,
    pressing,
    readout,
    tell_worker,
    wait_for,
    wait_for_iteration,
    wait_until_kept,
    with_gpu,
)
from playwright.sync_api import Browser, Download, Page, Route, expect

from groundling.data import shakespeare
from groundling.devices.webgpu import tiles
from groundling.runs import checkpoint, statefile

HERE = Path(__file__).parent
REFERENCE = next((HERE.parents[1] / "site/public").rglob("tinker-shakespeare-hamlet-iter2000.bin"))
READOUTS = ("iter", "iters-per-second", "elapsed", "lr", "train-nll", "val-nll")


# ---- what the tests do with a page -------------------------------------------------------------


def save(page: Page) -> Download:
    with page.expect_download() as download:
        press(page, "Save weights")
    return download.value


ADAPTERS = """async () => {
    const root = await navigator.storage.getDirectory();
    return (await (await root.getFileHandle("adapters.json")).getFile()).text();
}"""


# ---- the main way through ------------------------------------------------------------------------


@pytest.mark.gpu
def test_the_loss_falls_and_the_weights_can_be_saved_and_loaded(
    page: Page, site_url: str, chromium: Browser
) -> None:
    """Start, pause, save, the same again elsewhere, load, resume."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    open_page(page, site_url)
    assert device(page) == "GPU"
    assert readout(page, "iter") == "0 / 2000"
    fill(page, Iterations="12", Batch_size="8", Peak_learning_rate="0.001")

    pause(page, 4, pressing("Start"))
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
    [tiles_here] = json.loads(
        page.evaluate(ADAPTERS)
    ).values()  # for the next start, which has them
    assert tiles_here in tiles.FORMS
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
        press(other, "Load weights or a state")
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
    panel = page.get_by_role("region", name="This file was refused")
    expect(panel).to_contain_text("fewer than the 512")
    wait_for(page, "ready")


def test_the_log_comes_as_csv_and_the_chart_can_be_read_by_keyboard(
    page: Page, site_url: str
) -> None:
    open_page(page, site_url)
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
    fill(page, Iterations="100000", Batch_size="8")
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
    page.keyboard.type("100000")
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


def test_what_comes_up_is_announced_and_the_focus_is_never_lost(page: Page, site_url: str) -> None:
    """News, offers and questions; and after a panel has closed, by its button or by a key."""
    open_page(page, site_url)
    status, alert = (page.locator(f"#said [role={role}]") for role in ("status", "alert"))
    expect(status).to_contain_text("The GPU here is emulated")
    picker = page.locator('input[aria-label="File to load"]')
    picker.set_input_files({"name": "cat.bin", "mimeType": "image/png", "buffer": b"meow"})
    expect(alert).to_contain_text("This file was refused")
    fill(page, Iterations="1", Batch_size="8")
    close = page.get_by_role("region", name="This file was refused").get_by_role("button")
    field = page.get_by_label("Batch size", exact=True)
    field.focus()
    close.press("Enter")
    expect(field).to_be_focused()

    # Drawers and forms of the code.
    button(page, "Recipes").press("Enter")
    page.locator(".recipes h3 button").first.press("Enter")
    button(page, "Use it").press("Enter")
    expect(status).to_contain_text("is in your edits")
    expect(button(page, "Recipes")).to_be_focused()
    page.locator(".done").get_by_role("button", name="Undo").press("Enter")
    expect(button(page, "Recipes")).to_be_focused()
    button(page, "New file").press("Enter")
    expect(page.get_by_label("Name of the new file")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page, "New file")).to_be_focused()

    # A run that is kept, offered, discarded, brought back and gone on with.
    press(page, "Start")
    wait_for(page, "done")
    expect(
        page.get_by_role("main").get_by_text(re.compile("^Kept in this browser at iteration 1"))
    ).to_be_visible()
    page.reload()
    wait_for(page, "ready")
    expect(status).to_contain_text("A finished run is kept here")
    button(page, "Discard").press("Enter")
    expect(status).to_contain_text("can be brought back")
    expect(button(page, "Start")).to_be_focused()
    page.locator(".panel").get_by_role("button", name="Undo").press("Enter")
    expect(button(page, "Start")).to_be_focused()
    button(page, "Open it").press("Enter")
    wait_for(page, "done")
    expect(button(page, "Reset")).to_be_focused()


def test_on_a_phone_fields_do_not_zoom_and_links_are_as_large_as_fingers(
    chromium: Browser, site_url: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    open_page(page, site_url)
    for tab in ("Text and model", "Talk", "Look inside", "Doctor", "Twin", "Inspector"):
        page.get_by_role("tab", name=tab, exact=True).click()
    small = page.evaluate(
        """[...document.querySelectorAll("input, select, textarea, [contenteditable]")]
        .filter((it) => !["range", "checkbox", "radio", "file"].includes(it.type))
        .filter((it) => parseFloat(getComputedStyle(it).fontSize) < 16)
        .map((it) => it.id || it.outerHTML)"""
    )
    assert small == []
    for name in ("field-iters", "field-batchSize", "talk-length", "twin-iters"):
        expect(page.locator(f"#{name}")).to_have_attribute("inputmode", "numeric")
    expect(page.locator("#field-lr")).to_have_attribute("inputmode", "decimal")
    around = """(link) => {
        link.scrollIntoView({ block: "center" });
        const { left, top, bottom } = link.getBoundingClientRect();
        return [top - 8, bottom + 8].map((y) => document.elementFromPoint(left + 8, y) === link);
    }"""
    assert page.locator("#around button").evaluate(around)
    context.close()


def test_a_run_of_a_million_iterations_is_kept_whole_and_drawn_thin(
    page: Page, site_url: str
) -> None:
    """Of each group of neighbours the lowest and the highest are drawn, and a validation."""
    page.goto(f"{site_url}runner/pyodide_runner.html")
    drawn = page.evaluate(
        """async (n) => {
            const { Curve } = await import("./curve.js");
            const curve = new Curve();
            const loss = (i) => 2 + Math.sin(i / 1e5) + ((i * 7919) % 1000) / 1000;
            for (let from = 0; from < n; from += 1000) {
                curve.add(Array.from({ length: 1000 }, (_, k) => {
                    const i = from + k;
                    const train = i === 600_001 ? 9 : i === 600_003 ? 0.5 : loss(i);
                    return { iter: i, train, smooth: 2, lr: 1, val: i % 50 ? null : i / n };
                }));
            }
            const [iter, train, smooth, val] = curve.drawn();
            const kept = curve.get("train");
            const seen = new Map(iter.map((at, i) => [at, i]));
            return {
                length: curve.length,
                drawn: iter.length,
                sorted: iter.every((at, i) => i === 0 || iter[i - 1] < at),
                ends: [iter[0], iter.at(-1)],
                peaks: [600_001, 600_003].map((at) => train[seen.get(at)]),
                same: iter.every((at, i) => train[i] === kept[at]),
                validated: val.filter((value) => value !== null).length,
                right: val.every((value, i) => value === null || value === iter[i] / n),
                last: curve.get("val").at(-50),
            };
        }""",
        1_000_000,
    )
    assert drawn["length"] == 1_000_000
    assert 2048 <= drawn["drawn"] <= 2 * 2048 + 512 + 2
    assert drawn["sorted"] and drawn["same"] and drawn["right"]
    assert drawn["ends"] == [0, 999_999]
    assert drawn["peaks"] == [9, 0.5]
    assert 256 <= drawn["validated"] <= 512
    assert drawn["last"] == pytest.approx(0.99995)


def test_each_point_of_a_long_run_is_read_out_and_its_levels_cost_no_elements(
    page: Page, site_url: str
) -> None:
    hold_workers(page)
    open_page(page, site_url)
    tell = """([from, n]) => {
        const records = Array.from({ length: n }, (_, k) => {
            const iter = from + k;
            return { iter, train: 2 + (iter % 997) / 1e4, smooth: 2, lr: 1, val: null };
        });
        const now = { iter: from + n, iters: 1e6, trainLoss: 2, valLoss: null, perplexity: null };
        const rest = { lr: 1, itersPerSecond: 1, tokensPerSecond: 1, elapsed: 1 };
        const data = { type: "steps", records, ...now, ...rest };
        workers[0].onmessage(new MessageEvent("message", { data }));
    }"""
    page.evaluate(tell, [0, 100_000])
    chart = page.get_by_role("slider", name=re.compile("Loss curve"))
    chart.focus()
    page.keyboard.press("Home")
    for at in range(1, 4):
        page.keyboard.press("ArrowRight")
        told = f"iteration {at}: batch {2 + at % 997 / 1e4:.4f}"
        expect(chart).to_have_attribute("aria-valuetext", re.compile(f"^{re.escape(told)}"))
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"^iteration 99998: "))
    page.get_by_label("How low can it go?").check()
    page.evaluate(
        """() => {
            window.made = 0;
            const append = Element.prototype.append;
            Element.prototype.append = function (...nodes) {
                made++;
                return append.apply(this, nodes);
            };
        }"""
    )
    for part in range(5):
        page.evaluate(tell, [100_000 + 10 * part, 10])
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("made") == 0


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_covers_another_on_a_small_screen_while_the_page_gets_ready(
    page: Page, site_url: str, width: int
) -> None:
    done = json.dumps({"1": {"task": "Done.", "question": "Right."}})  # of the course
    page.add_init_script(f"localStorage.setItem('groundling.course', {json.dumps(done)})")
    page.route("**/worker.js", lambda route: None)  # it never comes
    page.set_viewport_size({"width": width, "height": 640})
    page.goto(site_url)
    expect(page.get_by_role("link", name="Go on with the course")).to_be_visible()
    expect(page.get_by_role("list", name="Getting ready")).to_be_visible()
    covered = page.evaluate(
        """() => {
            const text = (where) => {
                const range = document.createRange();
                range.selectNodeContents(document.querySelector(where));
                return range.getBoundingClientRect();
            };
            const cover = (a, b) =>
                a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            return [["h1", "#theme"], ["#theme", ".lede"], [".stop h3", ".stop .count"],
                [".boot", ".chart .legend"], [".boot", ".chart label"]]
                .filter(([a, b]) => cover(text(a), text(b)));
        }"""
    )
    assert covered == []


def test_what_is_chosen_shows_where_the_system_sets_all_colours(page: Page, site_url: str) -> None:
    page.emulate_media(forced_colors="active")
    open_page(page, site_url)
    for group, chosen, other in (
        ("Device", "[aria-pressed=true]", "[aria-pressed=false]"),
        ("Besides the run", "[aria-selected=true]", "[aria-selected=false]"),
    ):
        colour = "(one) => getComputedStyle(one).backgroundColor"
        within = page.get_by_label(group, exact=True)
        assert within.locator(chosen).evaluate(colour) != within.locator(other).first.evaluate(
            colour
        )


def test_axe_finds_nothing(page: Page, site_url: str, axe: Callable) -> None:
    """Booting, ready, training (with a popover open), done, and of any panel."""
    page.goto(site_url)
    axe("booting")
    wait_for(page, "ready")
    axe("ready, with an emulated GPU")
    fill(page, Iterations="100000", Batch_size="8")
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
    page.locator('input[aria-label="File to load"]').set_input_files(
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
    expect(speed.locator(".status")).to_have_text(re.compile("^Training some|^Timing each"))
    axe("Speed, measuring", "#views")
    speed.get_by_role("button", name="Stop measuring").press("Enter")
    expect(speed.get_by_text("Stopped before the end.")).to_be_visible()
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


def test_the_page_can_be_read_before_any_script_has_come(page: Page, site_url: str) -> None:
    """It is painted from 80 KB in two files, before they are compressed; Python comes later."""
    sent = []

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(site_url)
        if path and not path.endswith(".css"):
            return  # it never comes
        response = route.fetch()
        sent.append(len(response.body()))
        route.fulfill(response=response)

    page.route("**", answer)
    page.goto(site_url, wait_until="commit")
    painted = """(ms) => new Promise((done) => {
        setTimeout(done, ms, false);
        const look = (list) =>
            list.getEntriesByName("first-contentful-paint").length && done(true);
        new PerformanceObserver(look).observe({ type: "paint", buffered: true });
    })"""
    assert page.evaluate(painted, WAIT_MS), "nothing was painted"
    expect(page.get_by_role("heading", name="What you are watching")).to_be_visible()
    assert len(sent) == 2 and sum(sent) < 80_000
    page.unroute_all(behavior="ignoreErrors")


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


def test_a_run_takes_the_learning_rate_that_arrow_keys_set(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    fill(page, Iterations="1", Batch_size="1")
    press(page, "Start")
    wait_for(page, "done")
    rate = page.get_by_label("Peak learning rate", exact=True)
    rate.press("ArrowUp")
    expect(rate).to_have_value("0.00035")
    with page.expect_download() as download:
        press(page, "Save state")
    assert statefile.loads(Path(download.value.path()).read_bytes()).state.config.lr == 0.00035


def test_on_the_cpu_a_default_run_makes_the_golden_bytes(
    page: Page, site_url: str, cpu_run: tuple[int, str]
) -> None:
    """Those of wasmtime, and of the other engines: see test_engines.py."""
    iters, expected = cpu_run
    open_page(page, site_url)
    assert device(page) == "CPU"
    fill(page, Iterations=str(iters))
    press(page, "Start")
    wait_for(page, "done", timeout=WAIT_MS + 500 * iters)
    assert sha256(Path(save(page).path()).read_bytes()) == expected


@pytest.mark.parametrize("dies_at", [0, 2], ids=["", "which dies"])
def test_a_second_core_changes_no_byte(
    page: Page, site_url: str, cpu_run: tuple[int, str], dies_at: int
) -> None:
    """It is tried from the second step on, and ended when it has had nothing to do for a while."""
    iters, expected = cpu_run
    page.add_init_script(
        "window.told = []; new BroadcastChannel('core').onmessage = ({ data }) => told.push(data)"
    )
    in_worker(
        page,
        f"""{TWO_CORES}
        const tell = new BroadcastChannel("core");
        let orders = 0;
        self.Worker = class extends Worker {{
          constructor(...how) {{
            super(...how);
            tell.postMessage("begun");
            this.addEventListener("message", () => tell.postMessage("answered"));
          }}
          postMessage(...order) {{
            if (++orders === {dies_at}) super.terminate();
            super.postMessage(...order);
          }}
          terminate() {{
            super.terminate();
            tell.postMessage("ended");
          }}
        }};""",
    )
    open_page(page, site_url)
    fill(page, Iterations=str(iters))
    press(page, "Start")
    wait_for(page, "done", timeout=WAIT_MS + 500 * iters)
    assert sha256(Path(save(page).path()).read_bytes()) == expected
    if dies_at:
        assert page.evaluate("told") == ["begun", "answered"]  # it is not asked again
        return
    deadline = time.monotonic() + WAIT_MS / 1000
    while (told := page.evaluate("told"))[-1:] != ["ended"]:
        assert time.monotonic() < deadline, told
        page.wait_for_timeout(50)
    assert told.count("begun") == told.count("ended")
    assert told.count("answered") >= 3


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
def test_without_what_webgpu_needs_the_page_says_so_and_trains_on_the_cpu(
    page: Page, site_url: str, missing: str, script: str
) -> None:
    in_worker(page, script)
    with_gpu(page)
    open_page(page, site_url)
    told = page.get_by_role("main").get_by_text("so the CPU trains")
    expect(told).to_contain_text(missing)
    told.click()
    assert device(page) == "CPU"
    if "Pipeline" in script:
        expect(
            page.get_by_role("main").get_by_text(re.compile("Kernel adamw does not compile"))
        ).to_be_visible()
    fill(page, Iterations="100", Batch_size="8", Peak_learning_rate="0.001")
    pause(page, 1, pressing("Start"))
    press(page, "Resume")
    wait_for(page, "done")
    assert float(readout(page, "train-nll")) == pytest.approx(2.9243, abs=2e-3)  # as natively
    assert checkpoint.loads(Path(save(page).path()).read_bytes()).iter == 100


def test_files_that_an_ended_worker_holds_on_to_are_waited_for_unless_another_tab_is_open(
    page: Page, site_url: str
) -> None:
    """On a slow machine it takes seconds to end one that is in the middle of something."""
    in_worker(
        page,
        """
        const open = FileSystemFileHandle.prototype.createSyncAccessHandle;
        const freed = performance.now() + 5000;
        FileSystemFileHandle.prototype.createSyncAccessHandle = async function () {
          if (performance.now() < freed)
            throw new DOMException("busy", "NoModificationAllowedError");
          return open.call(this);
        };
        """,
    )
    open_page(page, site_url)
    told = page.locator(".note.kept")
    expect(told).to_contain_text("A running run is kept in this browser")
    second = page.context.new_page()
    open_page(second, site_url)
    expect(second.locator(".note.kept")).to_contain_text("Another tab keeps its run")


def test_a_browser_that_does_not_tell_its_cores_is_taken_to_have_one(
    page: Page, site_url: str
) -> None:
    in_worker(page, "Object.defineProperty(navigator, 'hardwareConcurrency', { value: undefined })")
    open_page(page, site_url)


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
    with_gpu(page)
    open_page(page, site_url)
    fill(page, Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    press(page, "Pause")
    wait_for(page, "paused")
    at, loss = iteration(page), readout(page, "train-nll")
    wait_until_kept(page, at)
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
    """The models of Talk, the reader's text and their choice of model; what was written stays, and
    what the ended worker still says is not heard.
    """
    hold_workers(page)
    in_worker(page, "on.push(() => { for (;;); })")
    open_page(page, site_url)
    page.get_by_role("tab", name="Talk", exact=True).click()
    talk = page.locator(".tool.talk")
    reference = talk.locator("[data-voice=reference]")
    expect(reference).to_be_visible()
    talk.get_by_role("radio", name="Your file").check()
    talk.locator("input[type=file]").set_input_files(REFERENCE)
    expect(talk.locator("[data-voice=file]")).to_contain_text("iteration 2,000")
    talk.get_by_label("Length", exact=True).fill("8")
    press(page, "Write")
    status, written = talk.locator(".talk-go .status"), talk.locator(".written")
    expect(status).to_have_text(re.compile("^8 characters, "))
    text_of_talk = status.inner_text(), written.inner_text()
    page.get_by_role("tab", name="Text and model").click()
    tab = page.locator(".tool.text")
    text = {"name": "rhyme.txt", "mimeType": "text/plain", "buffer": b"Tick, tock.\n" * 400}
    tab.get_by_label("Text files").set_input_files(text)
    expect(tab).to_contain_text("rhyme.txt: 4,800 bytes")
    tab.get_by_role("button", name="tiny", exact=True).click()
    expect(tab.get_by_label("Width", exact=True)).to_have_value("48")
    tab.get_by_role("button", name="Use this model").click()
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()
    press(page, "Start")
    wait_for_iteration(page, 2)
    tell_worker(page)
    press(page, "Pause")
    press(page, "End Python")
    expect(page.get_by_role("main").get_by_text("Python did not answer")).to_be_visible()
    late = """async () => {
        const data = { type: "phase", phase: "done", reason: "", undo: null };
        workers[0].onmessage(new MessageEvent("message", { data }));
        await new Promise((drawn) => requestAnimationFrame(drawn));
        return document.querySelector("[data-phase]").dataset.phase;
    }"""
    assert page.evaluate(late) != "done"
    wait_for(page, "ready")
    expect(tab).to_contain_text("rhyme.txt: 4,800 bytes")
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()
    expect(tab.get_by_label("Width", exact=True)).to_have_value("48")
    page.get_by_role("tab", name="Talk", exact=True).click()
    expect(talk.locator("[data-voice=file]")).to_contain_text("iteration 2,000")
    assert (status.inner_text(), written.inner_text()) == text_of_talk
    expect(talk.locator("[aria-labelledby=odds-title]")).to_contain_text("Python was started again")
    talk.get_by_role("radio", name="Reference").check()
    expect(reference).to_contain_text("iteration 2,000")


def test_a_step_that_takes_long_is_told_of_and_not_ended(page: Page, site_url: str) -> None:
    """As one of a large model on a slow machine, where Python cannot wait by JSPI."""
    held = in_holding_worker(page, "on.push(hold)")
    open_page(page, site_url)
    fill(page, Iterations="100000", Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    with page.expect_request("**/held"):
        tell_worker(page)
    press(page, "Pause")
    told = page.get_by_role("region", name="Python takes long to stop")
    expect(told).to_be_visible()
    expect(told.get_by_role("button", name="End Python")).to_be_visible()
    held[0].fulfill()
    wait_for(page, "paused")
    expect(told).to_have_count(0)
    assert iteration(page) >= 2
    expect(page.get_by_role("main").get_by_text("Python did not answer")).to_have_count(0)


def test_a_new_worker_is_given_what_the_last_one_took_whatever_was_asked_of_it_since(
    page: Page, site_url: str
) -> None:
    hold_workers(page)
    open_page(page, site_url)
    page.get_by_role("tab", name="Talk", exact=True).click()
    talk = page.locator(".tool.talk")
    talk.get_by_role("radio", name="Your file").check()
    page.evaluate(
        """() => {
            window.held = [];
            workers[0].postMessage = (...command) => held.push(command);
        }"""
    )
    for n, file in enumerate((REFERENCE, HERE / "conftest.py"), start=1):
        talk.locator("input[type=file]").set_input_files(file)
        page.wait_for_function(
            "(n) => held.filter(([{ source }]) => source === 'file').length === n", arg=n
        )
    page.evaluate(
        "delete workers[0].postMessage;"
        "held.forEach((command) => workers[0].postMessage(...command))"
    )
    expect(talk.get_by_role("alert")).to_contain_text("conftest.py: The file does not begin")

    page.get_by_role("tab", name="Text and model").click()
    tab = page.locator(".tool.text")
    tab.get_by_role("button", name="tiny", exact=True).click()
    width = tab.get_by_label("Width", exact=True)
    expect(width).to_have_value("48")
    width.evaluate(
        f"""(width) => {{
            {pressing("Use this model")};
            width.value = "24";
            width.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}"""
    )
    expect(tab).to_contain_text("30,192 parameters")

    page.evaluate(
        """() => {
            const data = { type: "phase", phase: "error", reason: "ended", undo: null };
            workers[0].onmessage(new MessageEvent("message", { data }));
        }"""
    )
    press(page, "Reset")
    wait_for(page, "ready")
    expect(width).to_have_value("48")
    page.get_by_role("tab", name="Talk", exact=True).click()
    expect(talk.locator("[data-voice=file]")).to_contain_text("iteration 2,000")


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
    fill(page, Iterations="1", Batch_size="8")
    press(page, "Start")
    wait_for(page, "done")
    tell_worker(page)
    press(page, "Reset")
    page.evaluate("sleep(60_000)")
    wait_for(page, "ready")
    expect(page.get_by_role("main").get_by_text("Python did not answer")).to_have_count(0)
    expect(button(page, "Undo")).to_be_visible()  # the run is still there


@pytest.mark.parametrize("name", ["Reset", "Run"])
def test_a_python_that_fails_as_a_whole_says_so_and_another_can_be_started(
    page: Page, site_url: str, name: str
) -> None:
    failing = "MessageChannel = function () { throw new Error('memory access out of bounds') }"
    in_worker(page, f"on.push(() => {{ {failing} }})")
    open_page(page, site_url)
    fill(page, Batch_size="8")
    press(page, "Start")
    wait_for_iteration(page, 2)
    tell_worker(page)
    wait_for(page, "error")
    panel = page.get_by_role("region", name="Python stopped")
    expect(panel).to_contain_text("Its runtime failed: memory access out of bounds")
    press(page, name)
    wait_for(page, "ready")
    expect(panel).to_have_count(0)
    fill(page, Iterations="1")
    press(page, "Start")  # nothing begins before it has the text and the model of the last one
    wait_for(page, "done")


def test_a_loss_that_is_no_number_stops_the_run(page: Page, site_url: str) -> None:
    """From weights that overflow: made here, finite, and far too large."""
    open_page(page, site_url)
    fill(page, Iterations="9", Batch_size="8")
    press(page, "Start")
    wait_for(page, "done")
    ckpt = checkpoint.loads(Path(save(page).path()).read_bytes())
    ckpt.weights[:] = 3e38
    ckpt.iter = 5
    page.locator('input[aria-label="File to load"]').set_input_files(
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
