"""A report: a run, or a lesson, as one HTML file that needs nothing else, and that can be checked.

    page = dumps(statefile.loads(data), title="My run", page="https://example.org/groundling/")
    link = loads(page)              # Differs unless what it says is what its link claims
    Replay(link, ...)               # trains the run again: labs/link.py

It has the run's settings, its curve, what it wrote, its edits as a diff, and its link; that of a
lesson also what the reader answered. Nothing in it runs: all that comes from the run or the reader
is escaped, and its policy allows no script. The check covers the settings and the losses; the
answers, the drawing and the samples are for reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from html.parser import HTMLParser

from ..edits import live
from ..runs.statefile import Saved
from . import chart, compare, link
from .compare import exact
from .link import Link, LinkError

MAX_BYTES = 2**24
MOST_POINTS, MOST_SAMPLES = 800, 20
STYLE = """\
:root { color-scheme: light dark; }
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.5rem; }
dl > div { display: contents; }
dd { margin: 0; overflow-wrap: anywhere; font-family: monospace; }
pre, blockquote { margin: .5rem 0; padding: .75rem; border: 1px solid; border-radius: 6px; }
pre { overflow-x: auto; font-size: 13px; }
blockquote { white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace; }
svg { width: 100%; height: auto; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="groundling-report-v1">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
"""


class ReportError(ValueError):
    """A file that is no report, or cannot be checked; the message says why."""


class Differs(ReportError):
    """The report says something else than its link: it is of another run."""


def claims(claimed: Link) -> dict[str, str]:
    """What a link claims, by name, to the last digit."""
    return compare.configured(claimed.config, claimed.model, claimed.changes) | {
        "trained": f"{claimed.iter} iterations",
        "validation loss": exact(claimed.val_loss),
        "text": claimed.corpus_hash,
        "code": claimed.code_hash,
        "device": claimed.device,
    }


def dumps(
    saved: Saved | None,
    title: str = "",
    page: str = "",
    edits: dict[str, str] | None = None,
    answers: Sequence[tuple[str, str]] = (),
) -> str:
    """The report of a saved run, or of a lesson that has none. `page`: the address of a page that
    replays its link; `edits`: the code that it was trained by, if not the code in force; `answers`:
    what a lesson asks for and what the reader did, by name.
    """
    if not title and saved:
        title = f"A run of {saved.state.config.seed!r}"
    out = [HEAD.format(policy=POLICY, title=escape(title), style=STYLE)]
    if answers:
        out += _rows("Answers", answers)
    none = "<p>There was no run when this report was made.</p>"
    out += _run(saved, page, edits) if saved else [none]
    return "\n".join([*out, "</body>", "</html>", ""])


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """A list of names and values under its title."""
    told = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return [f'<h2>{title}</h2>\n<dl id="{title.lower()}">', *told, "</dl>"]


def _run(saved: Saved, page: str, edits: dict[str, str] | None) -> list[str]:
    """The parts of a report that tell of the run."""
    state, why, fragment = saved.state, "", ""
    try:
        claimed = link.claim(saved, edits)
        fragment, rows = link.dumps(claimed), claims(claimed)
        diff = live.diff({}, claimed.edits)
    except LinkError as error:
        why, rows, diff = str(error), compare.settings(saved), live.diff({}, edits or {})
    lines = {"training, running average": compare.thinned(state.log, MOST_POINTS)}
    lines["validation"] = compare.thinned(state.log, MOST_POINTS, "val")
    drawn = {name: points for name, points in lines.items() if points}
    last = "" if state.val_loss is None else f", validation loss {state.val_loss:.4f}"
    out = [f"<p>Iteration {state.iter:,} of {state.config.iters:,}{last}.</p>"]
    out.append(chart.svg(drawn, "iteration", "loss, nats"))
    out += [*_rows("Settings", rows.items()), "<h2>Check it</h2>"]
    if fragment:
        href = escape(f"{page}#{fragment}")
        out.append(
            "<p>A seed is the whole run, so anyone can train it again and compare each recorded "
            "loss: on the CPU of the page, or with <code>groundling verify</code> and this file, "
            "to the bit where it was trained on the device wasm, else within a tolerance.</p>\n"
            f'<p><a id="run" href="{href}">The run as a link</a></p>'
        )
    else:
        out.append(f"<p>This run cannot be replayed. {escape(why)}</p>")
    out.append("<h2>Edits of the code</h2>")
    out.append(f"<pre>{escape(diff)}</pre>" if diff else "<p>None.</p>")
    for at, text in state.edits:
        out.append(f"<p>From iteration {at:,} on:</p>\n<pre>{escape(text)}</pre>")
    out.append("<h2>What it wrote</h2>")
    for sample in state.samples[-MOST_SAMPLES:]:
        out.append(f"<p>Iteration {sample.iter:,}</p>")
        out.append(f"<blockquote>{escape(sample.text)}</blockquote>")
    if not state.samples:
        out.append("<p>Nothing yet.</p>")
    return out


def loads(data: bytes) -> Link:
    """The link of a report. ReportError if it is none, or says something else than its link."""
    if len(data) > MAX_BYTES:
        raise ReportError(f"It has {len(data):,} bytes; a report has {MAX_BYTES:,} at most.")
    found = _Reader()
    try:
        found.feed(data.decode("utf-8"))
        found.close()
    except ReportError:
        raise
    except (ValueError, AssertionError):
        raise ReportError("It is no report: it is not HTML in UTF-8.") from None
    if not found.rows:
        raise ReportError("It is no report of a run: it has no settings.")
    if not found.href:
        raise ReportError("The report has no link, so its run cannot be replayed; it says why.")
    try:
        claimed = link.loads(found.href)
    except LinkError as error:
        raise ReportError(f"The report's link cannot be read. {error}") from None
    told = claims(claimed)
    for name in told | found.rows:
        if _plain(told.get(name, "")) != _plain(found.rows.get(name, "")):
            raise Differs(
                f"Another run: the report says {name} {found.rows.get(name, 'nothing')!r:.80}, and "
                f"its link {told.get(name, 'nothing')!r:.80}."
            )
    return claimed


def _plain(text: str) -> str:
    """A value as HTML keeps it: line ends may have been made others on the way."""
    return re.sub(r"\r\n?", "\n", text)


class _Reader(HTMLParser):
    """Finds the settings and the link of a report."""

    def __init__(self):
        super().__init__()
        self.rows: dict[str, str] = {}
        self.href, self._name, self._text = "", "", ""
        self._inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        if tag == "dl":
            self._inside = known.get("id") == "settings"
        elif tag == "a" and known.get("id") == "run":
            self.href = known.get("href") or ""
        elif tag in ("dt", "dd"):
            self._text = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "dl":
            self._inside = False
        elif self._inside and tag == "dt":
            self._name = self._text
        elif self._inside and tag == "dd":
            if self._name in self.rows:
                raise ReportError(f"The report says {self._name} twice.")
            self.rows[self._name] = self._text

    def handle_data(self, data: str) -> None:
        self._text += data
