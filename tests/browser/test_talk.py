"""What the model writes, in a real Chromium: the sampler, the sample stream, the credits, the first
look, and the words that explain themselves. The numbers are read from the page.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from driving import as_soon_as, button, fill, hold_workers, open_page, pressing, wait_for
from playwright.sync_api import Locator, Page, expect

from groundling.data import shakespeare
from groundling.devices.numpy import NumPyDevice
from groundling.labs.bigram import Bigram
from groundling.labs.textstats import TextStats
from groundling.model import GPT
from groundling.runs import checkpoint
from groundling.runs.samples import prompt
from groundling.runs.writer import generate, stream

HERE = Path(__file__).parent
NAME = "tinker-shakespeare-hamlet-iter2000.bin"
REFERENCE = HERE.parents[1] / "site/public/reference" / NAME
ASKED = "O brave new world"


@pytest.fixture(scope="module")
def reference() -> GPT:
    """The reference model, natively."""
    ckpt = checkpoint.loads(REFERENCE.read_bytes())
    return GPT(ckpt.config, NumPyDevice(), ckpt.weights)


def open_tab(page: Page, url: str, tab: str) -> Locator:
    """The tab, open, on a page that is ready."""
    open_page(page, url)
    page.get_by_role("tab", name=tab, exact=True).click()
    return page.locator(f".tool.{tab.lower()}")


def set_knobs(page: Page, temperature: float, top_k: int, top_p: float) -> None:
    for name, value in (("temperature", temperature), ("topK", top_k), ("topP", top_p)):
        page.locator(f"#knob-{name}").fill(str(value))


def write(page: Page, length: int) -> str:
    """Press Write and wait; the text that came, without the prompt."""
    page.get_by_label("Length", exact=True).fill(str(length))
    button(page, "Write").click()
    expect(page.locator("[data-talk]")).to_have_attribute("data-talk", "done")
    return written(page)


def written(page: Page) -> str:
    """The text that is there, without the prompt."""
    return page.evaluate(
        "[...document.querySelectorAll('.talk .written span:not(.given)')]"
        ".map((span) => span.textContent.replace('↵\\n', '\\n')).join('')"
    )


def bars(page: Page) -> list[dict]:
    """The chart as the page has it: token, probability, drawn and fate of every character."""
    return page.evaluate(
        "[...document.querySelectorAll('.bars tbody tr')].map((row) => ({...row.dataset}))"
    )


def test_the_sampler_writes_what_the_library_does_and_shows_what_from(
    page: Page, site_url: str, reference: GPT
) -> None:
    corpus = shakespeare()
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    page.add_init_script(
        """
        window.asked = [];
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (command, ...rest) {
            asked.push(command.type);
            return post.call(this, command, ...rest);
        };
        """
    )
    tool = open_tab(page, site_url, "Talk")
    expect(tool.locator("[data-voice=reference]")).to_contain_text("validation loss 2.1774")
    assert sum(NAME in url for url in fetched) == 1

    # Before anything is written: what may follow the prompt.
    asked = "asked.filter((type) => type === 'talk').length"
    expect(tool.locator(".context")).to_contain_text("ROMEO:")
    box = page.get_by_label("Prompt", exact=True)
    box.fill("")
    expect(tool.locator(".context")).to_have_count(0)  # nothing is shown of the prompt before
    first = page.evaluate(asked)
    box.evaluate(
        """(box, text) => {
            for (let n = 1; n <= text.length; n++) {
                box.value = text.slice(0, n);
                box.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }""",
        ASKED,
    )
    expect(tool.locator(".context")).to_contain_text("new␣world comes")
    page.wait_for_timeout(600)  # longer than a prompt rests before it is read
    kept = tool.locator("[data-fate=kept][data-count]")
    assert page.evaluate(asked) == first + 1, "what is typed at once is read more than once"
    for top_k in (9, 7, 5):  # the knobs ask of what was read, and have nothing read again
        set_knobs(page, 0.8, top_k, 1.0)
        expect(kept).to_have_attribute("data-count", str(top_k))
    assert page.evaluate(asked) == first + 1

    # The same seed gives the same text, here and natively; and the logits behind it agree.
    settings, logits = dict(temperature=0.9, top_k=30, top_p=0.95), []
    set_knobs(page, *settings.values())
    text = write(page, 40)
    parts = stream(reference, corpus, ASKED, 40, "hamlet", **settings, logits=logits)
    assert text == "".join(parts)

    # Softmax, temperature, top-k and top-p, once more, in float64.
    for at, *knobs in ((3, 0.9, 30, 0.95), (17, 0.3, 65, 0.5), (39, 2.0, 5, 1.0)):
        temperature, top_k, top_p = knobs
        tool.locator(f"[data-at='{len(ASKED) + at}']").first.click()
        set_knobs(page, temperature, top_k, top_p)
        scaled = logits[at].astype(np.float64) / temperature
        probabilities = np.exp(scaled - scaled.max())
        probabilities /= probabilities.sum()
        order = np.argsort(-probabilities, kind="stable")
        top = order[:top_k]
        before = np.cumsum(probabilities[top]) - probabilities[top]
        kept = top[before < top_p * probabilities[top].sum()] if top_p < 1 else top
        drawn = np.where(np.isin(np.arange(65), kept), probabilities, 0) / probabilities[kept].sum()
        expect(tool.locator(".chosen-from")).to_have_attribute("data-at", str(len(ASKED) + at))
        expect(tool.locator("[data-fate=kept][data-count]")).to_have_attribute(
            "data-count", str(len(kept))
        )
        expect(tool.locator("[data-fate=top_k][data-count]")).to_have_attribute(
            "data-count", str(65 - top_k)
        )
        expect(tool.locator(".chosen-from")).to_have_attribute("data-character", text[at])
        expect(tool.locator(".bars tr.here")).to_have_attribute("data-token", text[at])
        shown = bars(page)
        assert len(shown) == 65
        for bar in shown:
            token = corpus.vocab.index(bar["token"])
            assert float(bar["probability"]) == pytest.approx(
                probabilities[token], rel=2e-3, abs=1e-7
            )
            assert float(bar["drawn"]) == pytest.approx(drawn[token], rel=2e-3, abs=1e-7)
            fate = "kept" if token in kept else "top_p" if token in top else "top_k"
            assert bar["fate"] == fate
        plain = logits[at].astype(np.float64)
        nats = math.log(np.exp(plain - plain.max()).sum()) + plain.max()
        nats -= plain[corpus.vocab.index(text[at])]
        told = tool.locator(".surprise")
        assert float(told.get_attribute("data-nats")) == pytest.approx(nats, rel=1e-3, abs=1e-4)
        expect(told).to_contain_text(f"{nats:.2f} nats, {nats / math.log(2):.2f} bits")

    # By keys: the place is a slider.
    place = page.get_by_role("slider", name="Character", exact=True)
    place.press("Home")
    expect(tool.get_by_text("had seen nothing before")).to_be_visible()
    place.press("End")
    expect(tool.locator(".chosen-from")).to_have_attribute("data-at", str(len(ASKED) + 39))

    # Stop, and what cannot be.
    page.get_by_label("Length", exact=True).fill("2000")
    so_far = "/^[1-9].* so far/.test(document.querySelector('.talk .status').textContent)"
    as_soon_as(page, so_far, pressing("Stop writing"), pressing("Write"))
    expect(tool.locator(".status")).to_have_text(re.compile("^Stopped after"))
    page.get_by_label("Prompt", exact=True).fill("€")
    button(page, "Write").click()
    expect(tool.locator(".status")).to_contain_text("The character '€'")
    page.get_by_label("Prompt", exact=True).fill("")
    expect(button(page, "Write")).to_be_disabled()

    # A file of the reader's; and one that is none, which changes nothing.
    page.get_by_label("Prompt", exact=True).fill(ASKED)
    tool.get_by_role("radio", name="Your file").check()
    for file in (REFERENCE, HERE / "conftest.py"):
        with page.expect_file_chooser() as chooser:
            button(page, "Choose a .bin or .state").click()
        chooser.value.set_files(file)
        expect(tool.locator("[data-voice=file]")).to_contain_text("iteration 2,000")
    expect(tool.get_by_role("alert")).to_contain_text("conftest.py: The file does not begin with")
    set_knobs(page, 0.8, 65, 1.0)
    assert write(page, 8) == generate(reference, corpus, ASKED, 8, "hamlet")


def test_what_is_written_soon_after_a_key_is_not_given_up_for_a_look(
    page: Page, site_url: str, reference: GPT
) -> None:
    """However long the prompt is read: here its command waits for longer than a look does."""
    page.add_init_script(
        """
        const post = Worker.prototype.postMessage;
        const held = [];
        Worker.prototype.postMessage = function (command, ...rest) {
            const go = () => post.call(this, command, ...rest);
            command.length ? held.push(go) : go();
        };
        window.release = () => held.splice(0).forEach((go) => go());
        """
    )
    tool = open_tab(page, site_url, "Talk")
    expect(tool.locator(".context")).to_contain_text("ROMEO:")
    page.get_by_label("Length", exact=True).fill("8")
    page.get_by_label("Prompt", exact=True).fill(ASKED)
    button(page, "Write").click()
    page.wait_for_timeout(600)
    page.evaluate("release()")
    expect(tool.locator(".status")).to_contain_text("8 characters, ")
    assert written(page) == generate(reference, shakespeare(), ASKED, 8, "hamlet")


def test_a_key_that_comes_as_the_prompt_is_to_be_read_has_it_rest_anew(
    page: Page, site_url: str
) -> None:
    """The wait's end is called here, so that it comes before the page has seen to the key."""
    page.add_init_script(
        """
        const post = Worker.prototype.postMessage, later = setTimeout;
        window.asked = [];
        Worker.prototype.postMessage = function (command, ...rest) {
            if (command.type === "talk") asked.push(command.prompt);
            return post.call(this, command, ...rest);
        };
        window.setTimeout = (act, ms, ...rest) => {
            if (ms === 350) window.rested = act;
            return later(act, ms, ...rest);
        };
        """
    )
    tool = open_tab(page, site_url, "Talk")
    expect(tool.locator(".context")).to_contain_text("ROMEO:")
    page.evaluate("window.rested = null")
    box = page.get_by_label("Prompt", exact=True)
    box.fill("O brave")
    page.wait_for_function("() => window.rested")
    box.evaluate(
        """(box) => {
            box.value = "";
            box.dispatchEvent(new Event("input", { bubbles: true }));
            rested();
        }"""
    )
    box.fill(ASKED)
    expect(tool.locator(".context")).to_contain_text("new␣world comes")
    assert "" not in page.evaluate("asked")


def test_the_reference_is_fetched_once_however_many_tabs_want_it_before_it_is_read(
    page: Page, site_url: str
) -> None:
    fetched, held = [], "held.filter(([{ type }]) => type === 'voice').length"
    page.on("request", lambda request: fetched.append(request.url))
    hold_workers(page)
    page.add_init_script(
        """
        window.held = [];
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (...command) { held.push(command); };
        window.release = () => {
            Worker.prototype.postMessage = post;
            for (const command of held) workers[0].postMessage(...command);
        };
        """
    )
    tool = open_tab(page, site_url, "Talk")
    page.wait_for_function(f"() => {held} === 1")
    page.get_by_role("tab", name="Credits", exact=True).click()
    expect(page.locator(".tool.credits")).to_be_visible()
    page.wait_for_timeout(500)  # long enough to fetch it again
    page.evaluate("release()")
    page.get_by_role("tab", name="Talk", exact=True).click()
    expect(tool.locator("[data-voice=reference]")).to_contain_text("validation loss 2.1774")
    assert sum(NAME in url for url in fetched) == 1


def test_another_file_is_asked_of_the_prompt_at_once(page: Page, site_url: str) -> None:
    tool = open_tab(page, site_url, "Talk")
    tool.get_by_role("radio", name="Your file").check()
    files = page.locator(".talk input[type=file]")
    files.set_input_files(REFERENCE)
    expect(tool.locator("[data-voice=file]")).to_contain_text("iteration 2,000")
    first = tool.locator(".bars tbody tr").first
    expect(first).to_have_attribute("data-probability", re.compile("^0[.][1-9]"))

    ckpt = checkpoint.loads(REFERENCE.read_bytes())
    ckpt.weights[:] = 0  # a model that expects all characters alike
    files.set_input_files({"name": "zero.bin", "mimeType": "", "buffer": checkpoint.dumps(ckpt)})
    expect(first).to_have_attribute("data-probability", re.compile("^0[.]0153"))  # 1 / 65


def test_top_k_ends_where_the_chosen_model_knows_no_more_characters(
    page: Page, site_url: str
) -> None:
    text = {"name": "few.txt", "mimeType": "text/plain", "buffer": b"a b c\td\n" * 300}
    open_page(page, site_url)
    fill(page, Iterations="1", Batch_size="1")
    page.get_by_role("tab", name="Text and model").click()
    page.get_by_label("Text files").set_input_files(text)
    expect(page.get_by_text("characters of 7 kinds")).to_be_visible()
    button(page, "Start").click()
    wait_for(page, "done")

    page.get_by_role("tab", name="Talk", exact=True).click()
    tool = page.locator(".tool.talk")
    most = tool.get_by_role("slider", name="Top-k")
    expect(most).to_have_value("65")  # of the reference
    tool.get_by_role("radio", name="This run").check()
    expect(most).to_have_value("7")
    expect(tool.locator("[data-fate=kept][data-count]")).to_have_attribute("data-count", "7")
    tab = tool.locator("tr[data-token='\t']")  # it does not show, and has a sign and a name
    expect(tab.get_by_role("rowheader")).to_have_text("⇥tab, kept, can be drawn")
    tool.get_by_role("radio", name="Reference").check()
    expect(most).to_have_value("65")
    expect(tool.locator("[data-fate=kept][data-count]")).to_have_attribute("data-count", "65")


def test_the_run_writes_samples_and_talks_while_it_trains(page: Page, site_url: str) -> None:
    corpus = shakespeare()
    tool = open_tab(page, site_url, "Talk")
    stream_of = page.locator(".samples")
    expect(stream_of).to_have_attribute("data-samples", "0")
    fill(page, Batch_size="8", Iterations="1")
    button(page, "Start").click()
    wait_for(page, "done")
    expect(stream_of).to_have_attribute("data-samples", "2")  # before and after it
    latest = stream_of.locator("> div")
    expect(latest.locator(".stamp")).to_contain_text("Iteration 1")
    expect(latest.locator(".phase")).to_have_text("Random and uniform")
    expect(latest.locator(".given")).to_have_text(prompt(corpus).replace("\n", "↵"))
    expect(latest.locator(".about")).to_contain_text("still noise")
    text = latest.locator(".new").inner_text().replace("↵", "\n")
    assert len(text) == 80
    counting = stream_of.get_by_role("region", name="Counting pairs")
    expect(counting.locator(".new")).to_have_text(
        Bigram(corpus).write(prompt(corpus)).replace("\n", "↵")
    )
    expect(counting.locator(".stamp")).to_contain_text("loss 2.4526")
    expect(counting).to_contain_text("known words")
    found = TextStats(corpus).of(text)
    for key, said in (
        ("characters", f"{round(100 * found.characters)}%"),
        ("unigram_kl", f"{found.unigram_kl:.2f}"),
        ("bigram_kl", f"{found.bigram_kl:.2f}"),
        ("words", "—" if found.words is None else f"{round(100 * found.words)}%"),
    ):
        expect(stream_of.locator(f"[data-measure={key}] dd b")).to_have_text(said)

    button(page, "Reset").click()
    wait_for(page, "ready")
    fill(page, Iterations="100000")
    button(page, "Start").click()
    wait_for(page, "training")
    expect(stream_of).not_to_have_attribute("data-samples", "0")
    tool.get_by_role("radio", name="This run").check()
    page.get_by_label("Length", exact=True).fill("12")
    button(page, "Write").click()
    expect(page.locator("[data-talk]")).to_have_attribute("data-talk", "done")
    expect(tool.locator(".status")).to_contain_text("12 characters")
    set_knobs(page, 0.5, 3, 1.0)  # the chart is redrawn while it trains
    expect(tool.locator("[data-fate=kept][data-count]")).to_have_attribute("data-count", "3")
    wait_for(page, "training")
    button(page, "Reset").click()
    wait_for(page, "ready")
    expect(stream_of).to_have_attribute("data-samples", "0")


def test_the_credits_roll_and_the_reference_writes_below_them(
    page: Page, site_url: str, reference: GPT
) -> None:
    tool = open_tab(page, site_url, "Credits")
    reel, said = tool.locator(".reel"), tool.locator(".said")

    def speed(seconds: float) -> float:
        """In pixels a second. Of a frame that comes late 0.1 s count, as in Credits.tsx."""
        return reel.evaluate(
            """(reel, ms) => new Promise((done) => {
                let [passed, before] = [0, performance.now()];
                const start = reel.scrollTop;
                const look = (now) => {
                    passed += Math.min(now - before, 100);
                    before = now;
                    if (passed < ms) requestAnimationFrame(look);
                    else done((1000 * (reel.scrollTop - start)) / passed);
                };
                requestAnimationFrame(look);
            })""",
            1000 * seconds,
        )

    reel.evaluate("(reel) => reel.scrollIntoView({ block: 'center' })")
    paths = reel.locator("article").evaluate_all("(all) => all.map((one) => one.dataset.path)")
    assert paths[0] == "py_src/groundling/train.py" and "shaders/attention.wgsl" in paths
    chips = reel.locator("[data-path='shaders/attention.wgsl'] .chips").inner_text().split("\n")
    assert chips[:2] == ["WGSL", "kernel"] and chips[2].endswith("lines")
    expect(reel.locator("[data-path='shaders/attention.wgsl'] pre")).to_contain_text("@compute")
    expect(tool.locator(".credits-body")).to_have_attribute("data-playing", "true")
    assert speed(3) == pytest.approx(28, rel=0.2)

    # For three seconds after a turn of the wheel it is the reader's. The wheel rolls for a while.
    reel.evaluate(
        """(reel) => reel.addEventListener("wheel", () => {
            const began = performance.now();
            const seen = [];
            globalThis.held = new Promise((done) => {
                const look = (now) => {
                    if (now > began + 2900) return done(seen);
                    if (now > began + 1500) seen.push(reel.scrollTop);
                    requestAnimationFrame(look);
                };
                requestAnimationFrame(look);
            });
        }, { once: true })"""
    )
    reel.hover()
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => window.held")
    assert len(set(page.evaluate("held"))) == 1
    assert speed(1) > 10

    # In another tab it stands still, and asks nothing of the run.
    page.get_by_role("tab", name="Speed", exact=True).click()
    expect(tool.locator(".credits-body")).to_have_attribute("data-playing", "false")
    written = said.get_attribute("data-length")
    page.wait_for_timeout(1200)
    assert said.get_attribute("data-length") == written
    page.get_by_role("tab", name="Credits", exact=True).click()
    reel.evaluate("(reel) => reel.scrollIntoView({ block: 'center' })")
    expect(tool.locator(".credits-body")).to_have_attribute("data-playing", "true")

    button(page, "Skip").click()
    reel.evaluate("(reel) => reel.scrollIntoView({ block: 'center' })")
    expect(tool.locator(".remote")).to_contain_text(f"2 of {len(paths)}: {paths[1]}")
    expect(said).not_to_have_attribute("data-length", "0")
    button(page, "Pause the credits").click()
    assert speed(1) == 0
    length = int(said.get_attribute("data-length"))
    text = said.inner_text().replace("↵\n", "\n")[:length]
    assert text == generate(reference, shakespeare(), "\n", length, "credits")


def test_the_credits_stand_still_where_less_motion_is_asked_for(page: Page, site_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    tool = open_tab(page, site_url, "Credits")
    expect(tool.locator(".credits-body")).to_have_attribute("data-playing", "false")
    page.wait_for_timeout(1000)
    assert tool.locator(".reel").evaluate("(reel) => reel.scrollTop") == 0
    expect(button(page, "Play the credits")).to_be_visible()


def test_a_first_look_goes_along_the_page_and_covers_nothing(page: Page, site_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")  # it goes from stop to stop at once
    open_page(page, site_url)
    targets = {
        "start": ".transport",
        "curve": ".chart",
        "samples": ".samples",
        "edit": ".coding > .go",
        "save": ".files .weights",
    }
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for step, (at, target) in enumerate(targets.items()):
            stop = page.locator(f"[data-stop={at}]")
            expect(stop).to_be_visible()
            assert f"{step + 1} of {len(targets)}" in stop.inner_text()
            bottom, top = page.evaluate(
                "([stop, target]) => [document.querySelector(stop).getBoundingClientRect().bottom,"
                "document.querySelector(target).getBoundingClientRect().top]",
                [f"[data-stop={at}]", target],
            )
            assert bottom <= top < bottom + 60
            if step:
                expect(stop).to_be_focused()
                expect(stop).to_be_in_viewport()
            if at != "save":
                stop.get_by_role("button", name="Next", exact=True).press("Enter")
        page.locator("#around button").press("Enter")
        expect(page.locator("[data-stop=start]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".stop")).to_have_count(0)
    expect(button(page, "Start")).to_be_focused()
    page.reload()
    wait_for(page, "ready")
    expect(page.locator(".stop")).to_have_count(0)


def test_words_explain_themselves_on_hover_focus_and_press(page: Page, site_url: str) -> None:
    open_page(page, site_url)  # and nothing moves under the pointer any more
    word = page.locator(".guide .term", has_text="AdamW")
    said = page.get_by_role("main").get_by_text("two running averages for every weight")
    word.hover()
    expect(said).to_be_visible()
    said.hover()  # the pointer may go over to it
    page.wait_for_timeout(400)
    expect(said).to_be_visible()
    page.mouse.move(0, 0)
    expect(said).to_be_hidden()
    word.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.wait_for_timeout(400)
    expect(said).to_be_visible()  # gone and back at once, it stays
    word.hover()
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    expect(said).to_be_visible()  # as it does while the word has the focus
    page.keyboard.press("Tab")
    expect(said).to_be_hidden()
    word.click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    expect(said).to_be_visible()  # pressed, it stays
    page.keyboard.press("Escape")
    expect(said).to_be_hidden()


def test_axe_finds_nothing_in_what_is_written(page: Page, site_url: str, axe: Callable) -> None:
    open_tab(page, site_url, "Talk")
    expect(page.locator("[data-voice=reference]")).to_be_visible()
    write(page, 60)
    set_knobs(page, 0.8, 12, 0.8)
    page.get_by_role("tab", name="Credits", exact=True).click()
    page.locator(".reel").evaluate("(reel) => reel.scrollIntoView({ block: 'center' })")
    expect(page.locator(".said")).not_to_have_attribute("data-length", "0")
    for tab in ("Credits", "Talk"):
        page.get_by_role("tab", name=tab, exact=True).click()
        axe(tab, ".tool:not([hidden]), .samples, .stop")
