"""A text and a model of the reader's own, in a real Chromium: from the file to the weights."""

import hashlib
import json
from pathlib import Path

from playwright.sync_api import Page, expect

from groundling import checkpoint

RHYME = "Über den Wolken muß die Freiheit wohl grenzenlos sein.\n" * 40


def test_own_text_and_model_are_chosen_trained_saved_and_kept(page: Page, site_url: str):
    page.goto(site_url)
    phase = page.locator("[data-phase]").first
    expect(phase).to_have_attribute("data-phase", "ready", timeout=60_000)
    page.get_by_role("tab", name="Text and model").click()
    tab = page.locator(".tool.text")
    rows = tab.get_by_role("row")
    expect(rows).to_have_count(12, timeout=60_000)  # the head, and eleven presets
    expect(tab.locator("tr[data-refused=true]", has_text="behemoth")).to_contain_text(
        "Its 472,967,680 parameters take about"
    )

    # refused with the byte, and the old text stays
    files = tab.get_by_label("Text files")
    files.set_input_files({"name": "no.txt", "mimeType": "text/plain", "buffer": b"caf\xe9"})
    expect(tab).to_contain_text("no.txt is not UTF-8 text: byte 3, 0xe9")
    expect(tab).to_contain_text("tinyshakespeare: 1,115,394 bytes")
    raw = RHYME.encode()
    files.set_input_files({"name": "rhyme.txt", "mimeType": "text/plain", "buffer": raw})
    expect(tab).to_contain_text(f"rhyme.txt: {len(raw):,} bytes")
    expect(tab).to_contain_text(hashlib.sha256(raw).hexdigest())
    expect(tab).to_contain_text("That is too little text")

    # a preset, then one number by hand
    tab.get_by_role("button", name="tiny", exact=True).click()
    expect(tab.get_by_label("Width", exact=True)).to_have_value("48")
    width = tab.get_by_label("Width", exact=True)
    width.fill("50")
    expect(tab).to_contain_text("d_model is 50 and n_heads is 3; the width must divide evenly")
    width.fill("24")
    expect(tab).to_contain_text("30,192 parameters")
    tab.get_by_text("Training", exact=True).click()
    tab.get_by_label("Iterations", exact=True).fill("3")
    tab.get_by_label("Warmup", exact=True).fill("2")
    with page.expect_download() as download:
        tab.get_by_role("button", name="Download config").click()
    config = json.loads(Path(download.value.path()).read_text())
    assert (config["model"]["d_model"], config["training"]["warmup_steps"]) == (24, 2)
    tab.get_by_role("button", name="Use this model").click()
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()

    # Start trains it, and what is saved says so
    page.get_by_role("button", name="Start", exact=True).click()
    expect(phase).to_have_attribute("data-phase", "done", timeout=60_000)
    expect(tab).to_contain_text("are the run's until Reset")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save weights").click()
    assert download.value.suggested_filename == "tinker-l2h3d24f192t32v256-42-iter3.bin"
    ckpt = checkpoint.loads(Path(download.value.path()).read_bytes())
    assert (ckpt.config.n_embd, ckpt.iter) == (24, 3)
    assert checkpoint.vocabulary(ckpt).tokenizer == "byte-v1"

    # the text is kept by its hash, for the next visit
    page.reload()
    expect(phase).to_have_attribute("data-phase", "ready", timeout=60_000)
    page.get_by_role("tab", name="Text and model").click()
    kept = tab.get_by_role("list", name="Texts kept in this browser")
    expect(kept).to_contain_text("rhyme.txt")
    kept.get_by_role("button", name="Use").click()
    expect(tab).to_contain_text(f"rhyme.txt: {len(raw):,} bytes")
