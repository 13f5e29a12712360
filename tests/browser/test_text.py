"""A text and a model of the reader's own, in a real Chromium: from the file to the weights."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from driving import open_page, wait_for
from playwright.sync_api import Page, expect

from groundling.config import GPTConfig, TrainConfig
from groundling.data import BYTES, shakespeare
from groundling.devices.numpy import NumPyDevice
from groundling.model import GPT
from groundling.runs import checkpoint, configfile
from groundling.runs.configfile import Setup
from groundling.runs.presets import PRESETS
from groundling.runs.writer import generate

RHYME = "Über den Wolken muß die Freiheit wohl grenzenlos sein.\n" * 40


def test_own_text_and_model_are_chosen_trained_saved_and_kept(page: Page, site_url: str):
    open_page(page, site_url)
    page.get_by_role("tab", name="Text and model").click()
    tab = page.locator(".tool.text")
    rows = tab.get_by_role("row")
    expect(rows).to_have_count(12)  # the head, and eleven presets
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
    expect(tab).to_contain_text("Start trains it once it is in use.")
    tab.get_by_text("Training", exact=True).click()
    tab.get_by_label("Iterations", exact=True).fill("3")
    tab.get_by_label("Warm-up", exact=True).fill("2")
    with page.expect_download() as download:
        tab.get_by_role("button", name="Download config").click()
    config = json.loads(Path(download.value.path()).read_text())
    assert (config["model"]["d_model"], config["training"]["warmup_steps"]) == (24, 2)
    tab.get_by_role("button", name="Use this model").click()
    expect(tab.get_by_role("button", name="In use")).to_be_disabled()
    expect(tab).to_contain_text("Start trains it.")
    expect(page.locator("#loss-title")).to_contain_text("a byte")

    # Start trains it, and what is saved says so
    page.get_by_role("button", name="Start", exact=True).click()
    wait_for(page, "done")
    for part in ("Text", "Model"):
        expect(tab.get_by_role("region", name=part, exact=True)).to_contain_text(
            "the run's until Reset."
        )

    # what can change does: the run that was done goes on
    expect(tab.get_by_label("Width", exact=True)).to_have_attribute("readonly", "")
    tab.get_by_label("Iterations", exact=True).fill("4")
    tab.get_by_label("Weight decay", exact=True).fill("0,2")  # as much of the world writes it
    tab.get_by_role("button", name="Change the run").click()
    wait_for(page, "paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    wait_for(page, "done")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save weights").click()
    assert download.value.suggested_filename == "tinker-l2h3d24f192t32v256-42-iter4.bin"
    ckpt = checkpoint.loads(Path(download.value.path()).read_bytes())
    assert (ckpt.config.n_embd, ckpt.iter) == (24, 4)
    assert checkpoint.vocabulary(ckpt).tokenizer == "byte-v1"

    # the text is kept by its hash, for the next visit
    page.reload()
    wait_for(page, "ready")
    page.get_by_role("tab", name="Text and model").click()
    kept = tab.get_by_role("list", name="Texts kept in this browser")
    expect(kept).to_contain_text("rhyme.txt")
    kept.get_by_role("button", name="Use").click()
    expect(tab).to_contain_text(f"rhyme.txt: {len(raw):,} bytes")

    # a config that is opened fills the form; the model that it is of gets other numbers
    opened = config | {"model": config["model"] | {"n_layers": 3, "model_name": "größer"}}
    picked = {"name": "c.json", "mimeType": "application/json"}
    tab.get_by_label("Config file").set_input_files(
        picked | {"buffer": json.dumps(opened, ensure_ascii=False).encode("utf-16")}
    )
    expect(tab.get_by_label("Layers", exact=True)).to_have_value("3")
    expect(tab.get_by_label("Width", exact=True)).to_have_value("24")
    tab.get_by_label("Config file").set_input_files(picked | {"buffer": b'{"n_layers": 3}'})
    expect(tab).to_contain_text("model has no context_length.")

    # a text that is pasted, and one that is dropped anywhere on the page
    tab.get_by_text("Paste a text").click()
    tab.get_by_label("Your text").fill("pasted line\n" * 100)
    tab.get_by_role("button", name="Use this text").click()
    expect(tab).to_contain_text("pasted text: 1,200 bytes")
    page.get_by_role("tab", name="Talk").click()
    drop(page, {"one.txt": "first words " * 90, "two.TXT": "and more"})
    expect(tab).to_contain_text("one.txt and 1 more: 1,089 bytes")
    expect(page.get_by_role("tab", name="Text and model")).to_have_attribute(
        "aria-selected", "true"
    )


# A drop as a browser tells it: files, and folders by their entries. A file may be slow to read, or
# be gone by then.
DROP = """([files, folders, target]) => {
    const fileOf = ({ name, text, slow, gone }) => {
        const file = new File([text], name);
        const read = file.arrayBuffer.bind(file);
        if (gone) file.arrayBuffer = () => Promise.reject(new DOMException("", "NotFoundError"));
        if (slow) file.arrayBuffer = () => new Promise((done) => setTimeout(done, slow)).then(read);
        return file;
    };
    const entryOf = (path, inside) => ({
        isDirectory: typeof inside !== "string",
        name: path.split("/").at(-1),
        fullPath: path,
        file: (done) => done(new File([inside], path.split("/").at(-1))),
        createReader() {
            const left = Object.entries(inside).map(([name, it]) => entryOf(`${path}/${name}`, it));
            return { readEntries: (done) => done(left.splice(0, 1)) };
        },
    });
    const items = Object.entries(folders).map(([name, inside]) => entryOf(`/${name}`, inside));
    const dropped = {
        types: ["Files"],
        files: [...files.map(fileOf), ...items.map(({ name }) => new File([""], name))],
        items: [
            ...files.map(() => ({ webkitGetAsEntry: () => null })),
            ...items.map((entry) => ({ webkitGetAsEntry: () => entry })),
        ],
    };
    const { left: clientX, top: clientY } = target.getBoundingClientRect();
    const options = { bubbles: true, composed: true, cancelable: true, clientX, clientY };
    const event = new MouseEvent("drop", options);
    Object.defineProperty(event, "dataTransfer", { value: dropped });
    target.dispatchEvent(event);
}"""


def test_whatever_is_dropped_is_taken_or_named(page: Page, site_url: str):
    open_page(page, site_url)
    page.get_by_role("tab", name="Text and model").click()
    tab, whole = page.locator(".tool.text"), page.locator("body")
    expect(tab).to_contain_text("tinyshakespeare: 1,115,394 bytes")

    def dropped_at_once(*drops: tuple[list[dict], dict]) -> None:
        target = page.get_by_role("textbox", name="to edit")  # which has drops of its own
        there = [[files, folders, target.element_handle()] for files, folders in drops]
        page.evaluate(f"(drops) => drops.forEach({DROP})", there)

    def dropped(*files: dict, **folders: dict) -> None:
        dropped_at_once((list(files), folders))

    def text(name: str, size: int, **more: object) -> dict:
        return {"name": name, "text": ("some words " * size)[: size - 1] + "\n", **more}

    dropped(text("notes.md", 900), text("b.TXT", 800))
    expect(tab).to_contain_text("notes.md and 1 more: 1,700 bytes")
    inside = {"b.txt": "b" * 500, "a.md": "a" * 600, "skip.png": "x", ".git": {"c.txt": "c"}}
    dropped(plays=inside | {"more": {"d.TXT": "d" * 10}})
    expect(tab).to_contain_text("a.md and 2 more: 1,112 bytes")
    expected = b"\n".join([b"a" * 600, b"b" * 500, b"d" * 10])  # as the command line reads it
    expect(tab).to_contain_text(hashlib.sha256(expected).hexdigest())

    # a file that cannot be read says so, and nothing of its text joins the next
    dropped(text("one.txt", 700), text("two.txt", 700, gone=True))
    expect(tab).to_contain_text("two.txt cannot be read: it is a folder, or was moved or changed")
    dropped(text("three.txt", 710))
    expect(tab).to_contain_text("three.txt: 710 bytes")
    # of two drops at once the later one counts, whole
    slow = [text("slow.txt", 720, slow=300), text("slow2.txt", 720)]
    dropped_at_once((slow, {}), ([text("later.txt", 730)], {}))
    expect(tab).to_contain_text("later.txt: 730 bytes")
    page.wait_for_timeout(500)
    expect(tab).to_contain_text("later.txt: 730 bytes")
    expect(tab.get_by_role("list", name="Texts kept in this browser")).not_to_contain_text("slow")

    for files, told in (
        ([text("book.pdf", 9)], "book.pdf was not taken: the page reads a text (.txt, .md)"),
        ([text("a.bin", 9), text("b.bin", 9)], "drop files such as a.bin one at a time"),
        ([text("a.txt", 9), text("b.zip", 9)], "drop files such as b.zip one at a time"),
        ([text("x.BIN", 9)], "fewer than the 512"),
        ([text("gone.state", 9, gone=True)], "gone.state cannot be read"),
        ([text("Edits.ZIP", 9)], "The file is not a whole .zip"),
        ([text("c.JSON", 9)], "It is no config: line 1"),
    ):
        dropped(*files)
        expect(whole).to_contain_text(told)
    dropped(pictures={"a.png": "x"})
    expect(whole).to_contain_text("The folder pictures has no text (.txt, .md) in it")
    expect(tab).to_contain_text("later.txt: 730 bytes")
    expect(page.locator(".standing")).to_contain_text("The code as it came")

    # prompts are the text's own, as long as nothing is typed
    page.get_by_role("tab", name="Talk").click()
    page.locator(".tool.talk").get_by_label("This run").check(force=True)
    prompt = page.locator("#talk-prompt")
    expect(prompt).to_have_value(("some words " * 73)[657:689])
    prompt.fill("words")
    page.get_by_label("Reference").check(force=True)
    expect(prompt).to_have_value("words")

    rate = page.locator("#field-lr")
    rate.fill("0,001")
    expect(rate).to_have_attribute("aria-invalid", "false")
    rate.press("ArrowUp")
    expect(rate).to_have_value("0.00105")
    rate.fill("0,0,1")
    expect(rate).to_have_attribute("aria-invalid", "true")


def losses_of(worker, text: bytes, model: GPTConfig, training: TrainConfig) -> list[float]:
    """The training losses of a byte-level model on a text."""
    worker.tell("reset")
    worker.wait("phase", where=lambda message: message["phase"] == "ready")
    worker.tell("use", text=configfile.dumps(Setup("mine", BYTES, model, training)))
    worker.tell("text", turn=len(text), name="mine.txt", bytes=text, more=0)
    settings = {"seed": training.seed, "iters": training.iters}
    start = len(worker.messages)
    worker.tell("start", **settings, batchSize=training.batch_size, lr=training.lr)
    worker.wait("phase", where=lambda message: message["phase"] == "done")
    steps = [message for message in worker.messages[start:] if message["type"] == "steps"]
    losses = [record["train"] for message in steps for record in message["records"]]
    assert len(losses) == training.iters
    return losses


def test_the_guides_tests_hold_on_the_gpu_of_the_page(worker):
    """The loss falls on 100 KB; the first one is ln 256, a tiny text is learned by heart, and its
    weights come back.
    """
    shakes = shakespeare()
    text = shakes.decode(shakes.train[:100_000]).encode()
    model = replace(PRESETS["tiny"].model, n_layer=1)
    training = TrainConfig(iters=60, batch_size=8, lr=3e-3, warmup=5, eval_batches=1)
    losses = losses_of(worker, text, model, training)
    assert losses[0] == pytest.approx(math.log(256), abs=0.02)
    assert sum(losses[-5:]) / 5 < 3.5  # letter counts alone: 3.3

    model = GPTConfig(256, block_size=8, n_layer=1, n_head=2, n_embd=32, d_ff=64)
    training = TrainConfig(
        **dict(seed="s", iters=150, batch_size=4, lr=1e-2, min_lr=3e-5, warmup=10),
        **dict(weight_decay=0.0, eval_interval=50, eval_batches=1),
    )
    losses = losses_of(worker, b"abcdefgh" * 40, model, training)
    assert losses[0] == pytest.approx(math.log(256), abs=0.05)  # 32 tokens of 8 kinds
    assert losses[-1] < 0.05
    worker.tell("save")
    ckpt = checkpoint.loads(worker.file(worker.wait("file")))
    native = GPT(ckpt.config, NumPyDevice(), ckpt.weights)
    sampled = generate(native, checkpoint.vocabulary(ckpt), "abcd", 12, "s", temperature=0.1)
    assert sampled == "efghabcdefgh"
    asked = {"source": "run", "prompt": "abcd", "seed": "s", "length": 12, "id": 1}
    worker.tell("talk", **asked, temperature=0.1, topK=256, topP=1.0)
    worker.wait("talk", where=lambda message: message["phase"] == "done")
    talk = [m["text"] for m in worker.messages if m["type"] == "talk"]
    assert "".join(talk) == sampled


def drop(page: Page, files: dict[str, str]) -> None:
    """Drop files on the page, as a reader does."""
    page.evaluate(
        """(files) => {
          const dataTransfer = new DataTransfer();
          for (const [name, text] of files) {
            dataTransfer.items.add(new File([text], name, { type: "text/plain" }));
          }
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(
              new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }),
            );
          }
        }""",
        list(files.items()),
    )
