"""Reports: what they say, that nothing in them runs, and that `groundling verify` checks them."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from groundling import sources
from groundling.cli import inputs
from groundling.cli import main as cli
from groundling.config import GPTConfig, TrainConfig
from groundling.data import Corpus
from groundling.devices.numpy import NumPyDevice
from groundling.devices.open import open_device
from groundling.labs import link, report
from groundling.labs.report import Differs, ReportError
from groundling.runs import statefile
from groundling.runs.configfile import Setup
from groundling.runs.run import begin
from groundling.runs.samples import Sample
from groundling.train import train

pytestmark = pytest.mark.native  # whole runs, and the command line

TEXT = "To be, or not to be, that is the question:\n" * 20
CORPUS = Corpus(TEXT)
SHAPE = dict(block_size=16, n_layer=1, n_head=2, n_embd=16, d_ff=32)
MODEL = GPTConfig(vocab_size=CORPUS.vocab_size, **SHAPE)
EVIL = "</title><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


def saved(**settings):
    """A run of a few iterations, as a state has it."""
    config = TrainConfig(**dict(iters=6, batch_size=2, eval_interval=2) | settings)
    run = begin(Setup(model=MODEL, train=config), CORPUS, NumPyDevice())
    list(train(run))
    return statefile.snapshot(run)


@pytest.fixture(scope="module")
def plain():
    return saved()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A current folder with the text of the runs, and the device that every host has."""
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(TEXT)
    monkeypatch.setattr(inputs, "open_device", lambda name="auto": open_device("numpy"))
    return tmp_path


def verify(text):
    Path("report.html").write_text(text, encoding="utf-8")
    return cli.main(["verify", "report.html", "--text", "mine.txt"])


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}


def test_a_report_says_what_its_link_claims_and_reads_back_to_it(plain):
    text = report.dumps(plain, page="https://example.org/g/")
    claimed = link.claim(plain)
    assert report.loads(text.encode()) == claimed
    assert f"https://example.org/g/#{link.dumps(claimed)}" in text
    assert "<dt>lr</dt><dd>0.0003</dd>" in text and "<svg" in text


def test_all_that_comes_from_a_run_is_escaped_and_there_is_no_script(plain):
    state = replace(
        plain.state,
        config=replace(plain.state.config, seed=EVIL),
        samples=[Sample(0, None, EVIL)],
        edits=[(3, f"--- a\n+++ b\n+{EVIL}")],
    )
    text = report.dumps(replace(plain, state=state, device=f"numpy: {EVIL}"), EVIL, "https://x/")
    found = Tags(text)
    assert found.tags.isdisjoint({"script", "img", "iframe", "object", "link", "base"})
    assert not {name for name in found.attributes if name.startswith("on")} | {"src"} & (
        found.attributes
    )
    assert "default-src 'none'" in text
    clean = replace(plain, state=replace(state, edits=[]))
    assert report.loads(report.dumps(clean, EVIL).encode()).config.seed == EVIL


def test_verify_replays_a_report_to_the_bit(plain, folder, capsys):
    assert verify(report.dumps(plain)) == 0
    assert "identical" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    ("row", "digit"),
    [("lr", "0.0003"), ("weight_decay", "0.1"), ("n_embd", "16"), ("iters", "6"), ("eps", "1e-08")],
)
def test_one_digit_changed_in_the_settings_is_another_run(plain, folder, capsys, row, digit):
    text = report.dumps(plain)
    other = digit[:-1] + str((int(digit[-1]) + 1) % 10)
    before, after = (f"<dt>{row}</dt><dd>{value}</dd>" for value in (digit, other))
    assert before in text
    assert verify(text.replace(before, after)) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"Another run: the report says {row} '{other}', and its link '{digit}'")


def test_a_report_and_link_that_were_both_changed_do_not_replay(plain, folder, capsys):
    """Whoever changes the link as well has to change what came of the run, too."""
    other = replace(link.claim(plain), config=replace(plain.state.config, lr=0.1, warmup=1))
    fragment, rows = link.dumps(other), report.claims(other)
    text = report.dumps(plain).replace(link.dumps(link.claim(plain)), fragment)
    for name, value in rows.items():
        text = re.sub(f"(<dt>{name}</dt><dd>)[^<]*", lambda found, v=value: found[1] + v, text)
    assert verify(text) == 1
    assert "Different" in capsys.readouterr().out


def test_what_is_no_report_is_refused_with_a_sentence(plain, folder, capsys):
    text = report.dumps(plain)
    for bad, said in (
        ("", "has no settings"),
        (text.replace('id="run"', ""), "no link"),
        (re.sub("#[A-Za-z0-9_-]+", "#abc", text), "link cannot be read"),
        (text.replace("<dt>lr</dt>", "<dt>eps</dt>"), "eps twice"),
    ):
        assert verify(bad) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(ReportError, match="not HTML"):
        report.loads(b"\xff\xfe\x00")
    with pytest.raises(Differs):
        report.loads(text.replace("<dt>lr</dt>", "<dt>rate</dt>").encode())
    assert cli.main(["verify", "none.html"]) == 2


def test_a_run_that_no_link_can_tell_has_a_report_that_says_why(plain):
    state = replace(plain.state, edits=[(3, "--- a\n+++ b\n+x = 1")])
    text = report.dumps(replace(plain, state=state))
    assert "cannot be replayed" in text and "The code was changed at iter 3" in text
    with pytest.raises(ReportError, match="no link"):
        report.loads(text.encode())


def test_a_report_of_edited_code_has_its_diff_and_its_edits_in_the_link(plain):
    path = "py_src/groundling/optim.py"
    edits = {path: sources.text(path) + "\nMINE = '<b>'\n"}
    edited = replace(plain, code_hash=sources.hash_of(edits))
    text = report.dumps(edited, edits=edits)
    assert "+MINE = &#x27;&lt;b&gt;&#x27;" in text
    assert report.loads(text.encode()).edits == edits


def test_a_report_of_a_lesson_has_the_answers_and_is_checked_as_that_of_a_run(
    plain, folder, capsys
):
    answers = [("Question", "How much?"), ("lr", EVIL), ("Verdict", "Done. It is 0.4159.")]
    text = report.dumps(plain, "Lesson 6", "https://x/", answers=answers)
    found = Tags(text)
    assert found.tags.isdisjoint({"script", "img"})
    assert "<dt>Verdict</dt><dd>Done. It is 0.4159.</dd>" in text
    assert report.loads(text.encode()) == link.claim(plain)
    assert verify(text) == 0
    changed = text.replace("<dt>lr</dt><dd>0.0003</dd>", "<dt>lr</dt><dd>0.0004</dd>")
    assert verify(changed) == 1
    alone = report.dumps(None, "Lesson 3", answers=answers)
    assert "There was no run when this report was made." in alone
    assert verify(alone) == 2
    assert "has no settings" in capsys.readouterr().err
