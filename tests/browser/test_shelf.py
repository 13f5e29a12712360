"""The page's shelf in a real Chromium: runs that are kept by themselves, over a reload and when the
storage is full; compared, continued, exported and imported.
"""

import re
from collections.abc import Callable
from pathlib import Path

from driving import (
    fill,
    iteration,
    open_page,
    pause,
    press,
    pressing,
    wait_for,
    wait_for_iteration,
)
from playwright.sync_api import Locator, Page, expect

from groundling.runs import checkpoint

LONG = "100000"  # iterations: a run that does not end before it is paused
COPIES = """
async ([from, count]) => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("shelf");
  const read = async (name) => (await (await root.getFileHandle(name)).getFile());
  const write = async (name, data) => {
    const stream = await (await root.getFileHandle(name, { create: true })).createWritable();
    await stream.write(data);
    await stream.close();
  };
  for await (const name of root.keys()) if (name.endsWith(".json")) from ||= name;
  const { weights, ...run } = JSON.parse(await (await read(from)).text());
  const loss = (i) => 2 + 2 * 0.998 ** i + Math.random() / 9;
  const points = Array.from({ length: 2000 }, (_, i) => [i, loss(i)]);
  for (let i = 0; i < count; i++) {
    const id = i.toString(16).padStart(16, "0");
    const state = `${id}.${run.iter}.state`;
    await write(state, await read(run.state));
    const curve = points.map(([iter, loss]) => [iter, loss + i / 20]);
    await write(`${id}.json`, JSON.stringify({ ...run, id, state, curve, name: `copy ${i}` }));
  }
}
"""
FULL = """(most) => { // no file of so many bytes, or of fewer, can be written to its end any more
  const write = FileSystemWritableFileStream.prototype.write;
  FileSystemWritableFileStream.prototype.write = async function (data) {
    if (!(data instanceof Blob) || data.size > most) return write.call(this, data);
    await write.call(this, data.slice(0, data.size / 2));
    throw new DOMException("no room", "QuotaExceededError");
  };
}"""


def runs(page: Page) -> Locator:
    """The tab, open."""
    page.get_by_role("tab", name="Runs").click()
    return page.get_by_role("tabpanel", name="Runs")


def names(shelf: Locator) -> list[str]:
    return (
        shelf.get_by_role("region", name="Runs that are kept").locator("tbody th").all_inner_texts()
    )


def count(shelf: Locator, n: int) -> None:
    expect(shelf.locator(".body")).to_have_attribute("data-runs", str(n))


def train(page: Page, seed: str, steps: int = 2) -> None:
    """Train a run for some iterations, and pause it."""
    fill(page, Seed=seed, Iterations=LONG, Batch_size="2")
    pause(page, steps, pressing("Start"))


def test_runs_are_kept_over_a_reload_compared_and_continued(
    page: Page, site_url: str, axe: Callable, tmp_path: Path
) -> None:
    open_page(page, site_url)
    shelf = runs(page)
    expect(shelf.get_by_text("No run is kept yet")).to_be_visible()
    axe("the empty shelf")
    train(page, "hamlet")
    count(shelf, 1)
    press(page, "Reset")
    train(page, "ophelia")
    count(shelf, 2)
    at = iteration(page)

    everyone = shelf.get_by_label("Compare all", exact=True)
    comparison = shelf.get_by_role("region", name="Comparison")
    everyone.press("Space")
    expect(comparison.get_by_role("heading", name="2 runs compared")).to_be_visible()
    everyone.press("Space")
    expect(comparison).to_have_count(0)
    shelf.get_by_label("Compare hamlet", exact=True).press("Space")
    assert everyone.evaluate("(box) => box.indeterminate && !box.checked")
    assert comparison.get_by_text("beta1").is_visible()  # of one run all settings are shown
    shelf.get_by_label("Compare ophelia", exact=True).press("Space")
    differing = comparison.locator("tr[data-differs=true]")
    assert differing.first.locator("th").inner_text() == "seed"
    same = comparison.locator("details", has_text="settings are the same in all")
    expect(same.get_by_text("beta1")).to_be_hidden()
    same.locator("summary").press("Enter")
    expect(same.get_by_text("beta1")).to_be_visible()
    assert differing.first.locator("strong").all_inner_texts() == ["hamlet", "ophelia"]
    curve = comparison.get_by_role("slider")
    curve.press("Home")
    told = re.compile(r"^iteration 0: hamlet 4\.")
    expect(curve).to_have_attribute("aria-valuetext", told)
    expect(comparison.locator("blockquote")).to_have_count(2)
    axe("two runs compared")

    press(page, "Rename hamlet")
    field = shelf.get_by_label("Name", exact=True)
    field.fill("my prince")
    field.press("Enter")
    expect(shelf.get_by_label("Compare my prince", exact=True)).to_be_checked()

    page.reload()
    wait_for(page, "ready")
    shelf = runs(page)
    count(shelf, 2)
    assert sorted(names(shelf)) == ["my prince", "ophelia"]
    with page.expect_download() as download:
        press(page, "Export ophelia")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == f"ophelia-iter{at}.state"
    with page.expect_download() as download:
        press(page, "Export the best weights of ophelia")
    best = checkpoint.loads(Path(download.value.path()).read_bytes())
    assert download.value.suggested_filename == f"ophelia-iter{best.iter}-best.bin"
    assert best.seed == "ophelia" and best.iter <= at  # 0, unless it was paused late
    press(page, "Continue ophelia")
    wait_for(page, "paused")
    assert iteration(page) == at
    press(page, "Resume")
    wait_for_iteration(page, at + 1)
    press(page, "Pause")
    wait_for(page, "paused")
    row = shelf.get_by_role("row").filter(has=page.get_by_label("Compare ophelia", exact=True))
    expect(row.locator("td").nth(1)).to_have_text(f"{iteration(page):,} of 100,000")
    count(shelf, 2)  # it has taken its own place
    expect(row.get_by_role("button", name="Export the best weights of ophelia")).to_be_visible()

    shelf.get_by_label("State files to keep").set_input_files(file)
    count(shelf, 3)
    assert f"ophelia-iter{at}" in names(shelf)
    (tmp_path / "bad.state").write_bytes(file.read_bytes()[:-4])
    (tmp_path / "none.state").write_bytes(b"meow")
    all_three = [tmp_path / "bad.state", tmp_path / "none.state", file]
    shelf.get_by_label("State files to keep").set_input_files(all_three)
    count(shelf, 4)
    expect(shelf.get_by_text("bad.state: ")).to_contain_text("cut short")
    expect(shelf.get_by_text("none.state: ")).to_contain_text("not a state file")


def test_fifty_runs_two_deleted_one_undone_and_a_full_disk(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    shelf = runs(page)
    train(page, "hamlet")
    count(shelf, 1)
    expect(shelf.get_by_role("button", name="Export the best weights of hamlet")).to_be_visible()
    page.evaluate(COPIES, ["", 49])
    page.reload()
    wait_for(page, "ready")
    shelf = runs(page)
    count(shelf, 50)
    press(page, "Delete copy 7")
    press(page, "Delete copy 8")
    count(shelf, 48)
    press(page, "Undo: copy 7")
    count(shelf, 49)

    for i in range(20):
        shelf.get_by_label(f"Compare copy {i if i != 8 else 20}", exact=True).check()
    expect(shelf.get_by_text("20 runs compared")).to_be_visible()

    # The storage becomes full while the next run is written: all others stay.
    page.evaluate(FULL, 1e9)
    before = sorted(names(shelf))
    train(page, "ophelia")
    expect(shelf.get_by_text("“ophelia” was not kept; all others are.")).to_be_visible()
    page.reload()
    wait_for(page, "ready")
    shelf = runs(page)
    count(shelf, 49)
    assert sorted(names(shelf)) == before
    left = page.evaluate(
        """async () => {
            const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("shelf");
            return (await Array.fromAsync(root.keys())).length;
        }"""
    )
    assert left == 2 * 49 + 1  # what was cut short is gone, and the deleted run with it


def test_keys_go_from_delete_to_its_undo_and_back(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    train(page, "hamlet")
    shelf = runs(page)
    count(shelf, 1)
    shelf.get_by_role("button", name="Delete hamlet").press("Enter")
    undo = shelf.get_by_role("button", name="Undo: hamlet")
    expect(undo).to_be_focused()
    expect(page.locator("#said [role=status]")).to_contain_text("“hamlet” was deleted.")
    undo.press("Enter")
    expect(shelf.get_by_role("button", name="Delete hamlet")).to_be_focused()


def test_a_run_is_kept_also_where_its_best_weights_find_no_room(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    shelf = runs(page)
    page.evaluate(FULL, 1e6)  # weights are 0.8 MB, a state is 2.5 MB
    train(page, "hamlet")
    expect(shelf.get_by_text("The run is kept, but not its best weights.")).to_be_visible()
    page.reload()
    wait_for(page, "ready")
    shelf = runs(page)
    count(shelf, 1)
    expect(shelf.get_by_role("button", name="Export hamlet", exact=True)).to_be_visible()
    expect(shelf.get_by_role("button", name="Export the best weights")).to_have_count(0)


def test_a_second_tab_follows_what_the_first_does_with_the_runs(page: Page, site_url: str) -> None:
    open_page(page, site_url)
    second = page.context.new_page()
    open_page(second, site_url)
    theirs = runs(second)
    count(theirs, 0)
    ours = runs(page)
    train(page, "hamlet")
    count(theirs, 1)
    press(page, "Rename hamlet")
    ours.get_by_label("Name", exact=True).fill("my prince")
    ours.get_by_label("Name", exact=True).press("Enter")
    expect(theirs.get_by_label("Compare my prince", exact=True)).to_be_visible()
    press(second, "Delete my prince")
    count(ours, 0)
    press(page, "Undo: my prince")
    count(theirs, 1)


def test_a_sweep_tells_which_value_ends_lowest(page: Page, site_url: str, axe: Callable) -> None:
    open_page(page, site_url)
    shelf = runs(page)
    fill(page, Batch_size="2")
    shelf.get_by_label("Values, with commas between").fill("0.0003, 0.003")
    shelf.get_by_label("Iterations of each").fill("2")
    shelf.get_by_label("Keep the runs of the sweep in the list above").press("Space")
    press(page, "Run sweep")
    sweep = shelf.get_by_role("region", name="Sweep", exact=True)
    expect(sweep).to_have_attribute("data-sweep", "done")
    rows = sweep.locator("tbody tr")
    assert rows.locator("th").all_inner_texts() == ["0.0003", "0.003"]
    assert sweep.locator("tr[data-best=true]").count() == 1
    count(shelf, 2)
    assert sorted(names(shelf)) == ["lr 0.0003, hamlet", "lr 0.003, hamlet"]
    shelf.get_by_role("checkbox", name="Compare lr 0.003, hamlet").check()
    batch = shelf.locator("dl.pairs > div").filter(has_text="batch_size")
    expect(batch.locator("dd")).to_have_text("2")  # of the fields
    axe("a sweep")


def test_a_browser_that_refuses_its_private_files_keeps_no_run_and_says_so(
    page: Page, site_url: str
) -> None:
    """As Firefox does in a private window."""
    page.add_init_script(
        """StorageManager.prototype.getDirectory = async () => {
          throw new DOMException("not here", "SecurityError");
        }"""
    )
    open_page(page, site_url)
    shelf = runs(page)
    train(page, "hamlet")
    expect(shelf.get_by_text(re.compile("^“hamlet.*” was not kept"))).to_be_visible()
    page.wait_for_timeout(500)  # its best weights come after it
    expect(shelf.get_by_text("The run is kept")).to_have_count(0)
