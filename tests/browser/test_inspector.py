"""The page's inspector in a real Chromium: what it shows of files is what is in them."""

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from driving import fill, iteration, load, open_page, wait_for, wait_for_iteration
from playwright.sync_api import Locator, Page, expect

from groundling.config import GPTConfig
from groundling.data import shakespeare
from groundling.model import initial_weights
from groundling.runs import checkpoint

HERE = Path(__file__).parent
DROP = """(place, [name, bytes]) => {
    const carried = new DataTransfer();
    const data = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
    carried.items.add(new File([data], name));
    const options = { dataTransfer: carried, cancelable: true, bubbles: true };
    place.dispatchEvent(new DragEvent("dragover", options));
    place.dispatchEvent(new DragEvent("drop", options));
}"""


def weights_file(seed: str) -> bytes:
    config, text = GPTConfig(), shakespeare()
    weights = initial_weights(config, seed)
    now = "2026-11-21T08:00:00.000Z"
    return checkpoint.dumps(
        checkpoint.Checkpoint(config, seed, 7, 2.5, text.vocab_hash, now, weights)
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of two seeds, by seed."""
    folder = tmp_path_factory.mktemp("files")
    made = {seed: folder / f"{seed}.bin" for seed in ("hamlet", "hamllet")}
    for seed, path in made.items():
        path.write_bytes(weights_file(seed))
    return made


def open_inspector(page: Page, url: str) -> Locator:
    """The section, open, on a page that is ready."""
    open_page(page, url)
    page.get_by_role("tab", name="Inspector").click()
    return page.get_by_role("tabpanel", name="Inspector")


def choose(page: Page, section: Locator, slot: int, path: Path | str) -> None:
    with page.expect_file_chooser() as chooser:
        section.get_by_role("button", name="Choose a file").nth(slot).click()
    chooser.value.set_files(path)


def drop(place: Locator, name: str, data: bytes) -> None:
    """Drop a file on one of the two places."""
    place.evaluate(DROP, [name, base64.b64encode(data).decode()])


def row(section: Locator, tensor: str) -> list[str]:
    """A tensor's row of the table, by its cells."""
    name = section.page.get_by_role("button", name=tensor, exact=True)
    return section.get_by_role("row").filter(has=name).get_by_role("cell").all_inner_texts()


def test_a_files_header_bytes_and_numbers_are_shown(
    page: Page, site_url: str, files: dict[str, Path]
) -> None:
    section = open_inspector(page, site_url)
    expect(section.get_by_text("looking at one does not load it")).to_be_visible()
    choose(page, section, 0, files["hamlet"])
    data = files["hamlet"].read_bytes()
    expect(section.locator("pre")).to_have_text(data[:512].decode().rstrip())
    expect(section.get_by_role("heading", name="Why 824,576 bytes")).to_be_visible()
    expect(section.locator(".sum")).to_contain_text("206,016 = 824,576 bytes")
    assert page.locator("[data-phase]").get_attribute("data-phase") == "ready"  # looked at only

    wpe = np.frombuffer(data, "<f4", 64 * 64, 512 + 4 * 65 * 64).astype(np.float64)
    shape, byte, *numbers = row(section, "wpe")[:6]
    assert (shape, byte) == ("64 × 64", "17,152")
    shown = [float(text.replace("−", "-")) for text in numbers]
    assert shown == pytest.approx([wpe.mean(), wpe.std(), wpe.min(), wpe.max()], rel=5e-3)

    # The header, then the first weights, then a tensor by its name.
    cells = section.locator(".cell")
    expect(cells.first.locator("code")).to_have_text("7b 22 66 6f")
    section.get_by_role("button", name="Next 512").click()
    expect(section.get_by_text("512 to 1,023: wte")).to_be_visible()
    expect(cells.first.locator("code")).to_have_text(data[512:516].hex(" "))
    section.get_by_role("button", name="h.0.ln_1.weight", exact=True).click()
    expect(section.get_by_text("wpe, h.0.ln_1.weight")).to_be_visible()
    first = section.locator(".cell", has=page.locator("em"))
    expect(first).to_contain_text("h.0.ln_1.weight")
    expect(first.locator("code")).to_have_text("00 00 80 3f")
    expect(first.locator("small")).to_have_text("1")

    # By keys: to the end of the file, a tensor back, and to the beginning.
    place = section.get_by_role("slider")
    place.press("End")
    expect(place).to_have_attribute("aria-valuetext", "byte 824,320, ln_f.bias")
    expect(cells).to_have_count(64)
    place.press("PageDown")
    expect(place).to_have_attribute("aria-valuenow", str((824_576 - 512) // 512))
    place.press("Home")
    expect(place).to_have_attribute("aria-valuetext", "byte 0, header")


def test_two_files_are_compared_and_one_that_is_none_is_refused(
    page: Page, site_url: str, files: dict[str, Path]
) -> None:
    section = open_inspector(page, site_url)
    places = section.locator(".place")
    for slot, seed in enumerate(("hamlet", "hamllet")):
        drop(places.nth(slot), f"{seed}.bin", files[seed].read_bytes())
        expect(places.nth(slot)).to_contain_text(f"weights of {seed}, iteration 7")
    a, b = (initial_weights(GPTConfig(), seed) for seed in files)
    differ = int((a.view(np.uint32) != b.view(np.uint32)).sum())
    expect(section.locator("[data-compared]")).to_have_text(
        f"{differ:,} of 206,016 numbers differ, in 18 of 36 tensors."
    )
    largest = np.abs(a[:4160].astype(np.float64) - b[:4160]).max()
    wte = row(section, "wte")
    assert wte[7] == "4,160" and float(wte[8]) == pytest.approx(largest, rel=1e-3)
    assert row(section, "ln_f.bias")[7] == "none"

    drop(places.nth(1), "cat.bin", b"no weights")
    expect(places.nth(1).locator(".refused")).to_contain_text("cat.bin: The file has 10 bytes")
    expect(places.nth(1)).to_contain_text("hamllet.bin")  # what was open stays
    drop(places.nth(1), "short.bin", files["hamlet"].read_bytes()[:-4])
    expect(places.nth(1).locator(".refused")).to_contain_text("4 are missing; it was cut short.")
    section.get_by_role("button", name="Put away hamllet.bin").click()
    expect(section.locator("[data-compared]")).to_have_count(0)
    expect(section.locator("pre")).to_contain_text('"seed":"hamlet"')


HOLD = """
    const read = Blob.prototype.arrayBuffer;
    const held = [];
    Blob.prototype.arrayBuffer = function () {
        if (!this.name?.startsWith("slow")) return read.call(this);
        return new Promise((done) => held.push(() => done(read.call(this))));
    };
    window.release = () => held.splice(0).forEach((go) => go());
"""


def test_what_was_done_last_counts_however_long_a_file_takes_to_read(
    page: Page, site_url: str, files: dict[str, Path]
) -> None:
    page.add_init_script(HOLD)
    section = open_inspector(page, site_url)
    place = section.locator(".place").first
    drop(place, "slow.bin", files["hamlet"].read_bytes())
    drop(place, "fast.bin", files["hamllet"].read_bytes())
    expect(place).to_contain_text("weights of hamllet")
    page.evaluate("release()")
    section.get_by_role("button", name="Next 512").click()
    expect(section.get_by_text("512 to 1,023: wte")).to_be_visible()
    expect(place).to_contain_text("weights of hamllet")

    # Put away, a slot stays empty: the file that was to come into it does not.
    put_away = section.get_by_role("button", name="Put away")
    drop(place, "slow.bin", files["hamlet"].read_bytes())
    put_away.click()
    page.evaluate("release()")
    drop(other := section.locator(".place").nth(1), "next.bin", files["hamllet"].read_bytes())
    expect(other).to_contain_text("next.bin")
    expect(place).to_contain_text("Drop a .bin")
    put_away.click()
    expect(section.locator("pre")).to_have_count(0)

    load(page, "slow.bin", files["hamlet"].read_bytes())
    fill(page, Iterations="100000", Batch_size="2")
    page.get_by_role("button", name="Start", exact=True).click()
    wait_for(page, "training")
    page.evaluate("release()")
    expect(page.get_by_text("A file can be loaded when").first).to_be_visible()
    wait_for_iteration(page, iteration(page) + 2)
    wait_for(page, "training")


def test_a_slot_that_is_put_away_as_python_opens_a_file_is_empty_for_both(
    page: Page, site_url: str, files: dict[str, Path]
) -> None:
    page.add_init_script(
        """
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (message, transfer) {
            post.call(this, message, transfer);
            const buttons = [...document.querySelectorAll(".place button")];
            const away = buttons.find((button) => button.textContent.startsWith("Put away"));
            if (message.name === "b.bin") away.click();
        };
        """
    )
    section = open_inspector(page, site_url)
    first, second = section.locator(".place").all()
    drop(first, "a.bin", files["hamlet"].read_bytes())
    expect(first).to_contain_text("a.bin")
    drop(first, "b.bin", files["hamllet"].read_bytes())
    drop(second, "c.bin", files["hamllet"].read_bytes())
    expect(second).to_contain_text("c.bin")
    expect(first).to_contain_text("Drop a .bin")
    section.get_by_role("button", name="Next 512").click()
    expect(section.get_by_text("512 to 1,023: wte")).to_be_visible()


def test_the_current_run_is_what_is_saved_of_it(page: Page, site_url: str) -> None:
    """As weights, and as a state, whose weights are the same and whose averages are beside them."""
    section = open_inspector(page, site_url)
    mine = section.get_by_role("button", name="The current run", exact=True)
    expect(mine).to_be_disabled()
    fill(page, Iterations="2", Batch_size="8")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "done")
    mine.click()
    expect(section.locator("pre")).to_contain_text('"iter":2')
    with page.expect_download() as download:
        page.get_by_role("button", name="Save state", exact=True).click()
    choose(page, section, 1, download.value.path())
    expect(section.locator("[data-compared]")).to_contain_text(
        "All 206,016 numbers are the same, bit for bit."
    )
    expect(section.locator(".sum")).to_contain_text("3 × 4 × 206,016")
    assert row(section, "v.wte")[0] == "65 × 64"
    expect(section.get_by_role("button", name="m.wte", exact=True)).to_be_visible()


def test_axe_finds_nothing_in_the_inspector(
    page: Page, site_url: str, files: dict[str, Path], axe: Callable
) -> None:
    """Empty, and with two files."""
    section = open_inspector(page, site_url)
    axe("empty", "#views")
    choose(page, section, 0, files["hamlet"])
    expect(section.locator("pre")).to_have_count(1)
    choose(page, section, 1, files["hamllet"])
    expect(section.locator("[data-compared]")).to_be_visible()
    section.get_by_role("button", name="h.0.ln_1.weight", exact=True).click()
    expect(section.get_by_text("wpe, h.0.ln_1.weight")).to_be_visible()
    axe("two files", "#views")
