"""One step, slowly, in a real Chromium, by the keyboard alone: of the reference model, and of a run
that is paused.
"""

import re
from collections.abc import Callable

from driving import fill, iteration, open_page, type_at_the_console, wait_for, wait_for_iteration
from playwright.sync_api import Locator, Page, expect

STAGES = [
    *("Batch", "Embeddings", "Block 1", "Block 2", "Block 3", "Block 4"),
    *("Logits and surprise", "Loss", "Back through the logits"),
    *(f"Back through block {i}" for i in (4, 3, 2, 1)),
    *("Back into the embeddings", "Clip", "AdamW"),
]


def press(place: Locator, key: str = "Enter") -> None:
    place.focus()
    place.press(key)


def rows(step: Locator, title: str) -> dict[str, list[str]]:
    """The rows of the table whose title begins so, by their first cells."""
    table = step.get_by_role("region", name=re.compile(f"^{re.escape(title)}"))
    found = [row.get_by_role("cell").all_inner_texts() for row in table.locator("tbody tr").all()]
    names = table.locator("tbody th").all_inner_texts()
    return dict(zip(names, found, strict=True))


def update_adds_up(step: Locator) -> None:
    """The last line of AdamW's arithmetic, from the lines above it."""
    lines = {name: float(cells[1]) for name, cells in rows(step, "The update of").items()}
    after = lines["w"] - lines["decay"] - lines["step"]
    shown = lines["w'"]
    assert f"{after:.9g}" == f"{shown:.9g}"


def test_a_step_is_read_forward_and_back_by_keys(page: Page, site_url: str, axe: Callable) -> None:
    open_page(page, site_url)
    press(page.get_by_role("button", name="Skip the first look"))
    press(page.get_by_role("tab", name="One step, slowly"))
    step = page.locator("#view-step")
    expect(step.locator(".empty")).to_contain_text("No run is paused here")
    axe("One step, nothing yet", "#view-step")

    # The reference model.
    press(step.get_by_role("button", name="Take apart a step of the reference model"))
    heading, following = step.locator(".stage h3"), step.get_by_role("button", name="Next")
    expect(heading).to_have_text("Batch")
    expect(step.get_by_label("The reference model")).to_be_checked()
    batch = step.get_by_role("slider", name="Characters of the batch")
    press(batch, "ArrowDown")
    press(batch, "End")
    expect(batch).to_have_attribute("aria-valuetext", re.compile("Sequence 2, character 64"))
    following.focus()
    for title in STAGES[1:]:
        following.press("ArrowRight")
        expect(heading).to_have_text(title)
        assert step.locator(".figures tbody tr").count() > 0
        assert step.locator("aside code").count() > 0
        if title in ("Logits and surprise", "Back through block 4", "AdamW"):
            axe(f"One step, {title}", "#view-step")
    update_adds_up(step)
    following.press("ArrowRight")  # there is no further
    expect(heading).to_have_text("AdamW")
    press(step.get_by_role("button", name="Back", exact=True))
    expect(heading).to_have_text("Clip")
    following.press("Home")
    expect(heading).to_have_text("Batch")
    following.press("End")

    # A run, at rest.
    step.get_by_label("Your run").focus()
    step.get_by_label("The reference model").press("ArrowUp")
    expect(step.locator(".empty")).to_contain_text("No run is paused here")
    fill(page, Iterations="100000", Batch_size="4")
    press(page.get_by_role("button", name="Start", exact=True))
    wait_for_iteration(page, 3)
    expect(step.locator(".empty")).to_contain_text("Pause it first")
    press(page.get_by_role("button", name="Pause", exact=True))
    wait_for(page, "paused")
    step.locator(".intro").evaluate("(it) => it.scrollIntoView({block: 'center'})")
    expect(step.locator(".status")).to_contain_text(f"Iteration {iteration(page)} of your run")
    expect(heading).to_have_text("AdamW")
    tensor = step.get_by_label("Tensor")
    tensor.focus()
    tensor.press("ArrowDown")
    expect(tensor).to_have_value("wpe")
    row = step.get_by_label("Row, to")
    expect(row).to_have_value("0")
    press(row, "ArrowUp")
    expect(step.get_by_role("region", name="The update of wpe[1, 0]")).to_be_visible()
    update_adds_up(step)
    assert rows(step, "The update of")["t"][1] == str(iteration(page) + 1)

    # What is set, and what is typed at the console, makes it another step.
    figures = step.get_by_role("region", name="The update of wpe[1, 0]").locator("td:nth-child(3)")
    was = rows(step, "The update of")
    page.set_viewport_size({"width": 1440, "height": 6000})  # nothing is seen anew
    fill(page, Peak_learning_rate="0.003")
    page.get_by_label("Peak learning rate", exact=True).press("Enter")
    expect(figures.nth([*was].index("lr"))).not_to_have_text(was["lr"][1])
    type_at_the_console(page, "model.load(0 * model.weights())")
    expect(figures.nth([*was].index("w"))).to_have_text(re.compile("^-?0$"))

    # Its code.
    press(step.get_by_role("button", name="optim.py, line"))
    expect(page.locator(".coding .file h3")).to_contain_text("optim.py")
    press(step.get_by_role("button", name="adamw, its kernel"))
    expect(page.locator(".coding .file h3")).to_contain_text("adamw.wgsl")
