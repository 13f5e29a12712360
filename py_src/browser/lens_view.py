"""The page's look inside a model: its heads, its layers' guesses, and how its layers fare.

The model is one that the Talk tab can use. A run that trains is looked at so seldom that training
hardly slows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from background import isolated, sentence
from view import Message, View

import groundling.labs.lens

if TYPE_CHECKING:
    import messages.inside
    from view import PageSession

    from groundling.data import Vocabulary
    from groundling.labs.lens import Lens, Look
    from groundling.model import GPT

EVERY = 1.0  # seconds between two looks at a run that trains, at least
SHARE = 0.025  # of the time at most goes to looking, and to getting the run to stop and go on
FADE = 0.5  # how much of the highest cost so far counts a look later
TOP = 3  # characters that are told of each guess


class LensView(View):
    """The look that the page has asked for, and those that follow it as the run trains."""

    commands = ("lens",)
    live = ("unlens",)

    def __init__(self, session: PageSession, model_of: Callable[[str], tuple[GPT, Vocabulary]]):
        """model_of(source) gives a model on the device, and what its tokens stand for."""
        super().__init__(session)
        self.model_of = model_of
        self.asked: Message | None = None
        self.lens: Lens | None = None  # of the model that was last looked into
        self.following = self.waiting = False
        self.due = -math.inf
        self.began: float | None = None  # when the last look did, until the run goes on
        self.heard, self.pace = -math.inf, 0.0  # the last records, and seconds for each
        self.cost = 0.0  # of a look, in seconds

    def do_lens(self, message: messages.inside.LensCommand) -> None:
        """Look into a model as it reads a prompt; if it is the run, again as it trains."""
        self.asked, self.following = message, message["source"] == "run"
        self._look()

    def do_unlens(self, message: messages.inside.UnlensCommand) -> None:
        """Stop looking: the tab is hidden."""
        self.following = False

    def drop(self) -> None:
        """Drop what is on the device."""
        self.lens, self.waiting = None, False

    def on_phase(self, phase: str) -> None:
        """Look at a run that rests; drop the model of one that is gone."""
        if phase == "ready":
            self.lens, self.waiting, self.began = None, False, None
        elif phase in ("paused", "done") and self.following:
            self._look()

    def on_records(self, records: list) -> None:
        """Ask for a look if one is due. The last one's cost is the time that the run has lost."""
        if self.session.phase != "training":
            return
        now = self.session.clock()
        if self.began is not None:
            # Steps take now more, now less: what a look seems to have cost may be far too little.
            self.cost = max(now - self.began - self.pace * len(records), FADE * self.cost)
            self.due, self.began = now + max(EVERY, self.cost / SHARE), None
        elif records:
            self.pace = (now - self.heard) / len(records)
        self.heard = now
        if self.following and not self.waiting and now >= self.due:
            self.waiting = True
            self.session.ask_boundary()

    def between(self) -> None:
        """Take the look that was asked for."""
        if self.waiting:
            self.waiting = False
            if self.following:
                self._look()

    def _look(self) -> None:
        self.began, source = self.session.clock(), self.asked["source"]
        with isolated(self.session, self._fail):
            model, corpus = self.model_of(source)
            tokens = corpus.encode(self.asked["prompt"])[-model.config.block_size :]
            if self.lens is None or self.lens.model is not model:
                self.lens = groundling.labs.lens.Lens(model)
            look = self.lens.look(tokens)
            told, bytes = self._told(look, corpus.by_token(), tokens)
            self.post({"type": "lens", **told, **self._where(source), "bytes": bytes})
            if source == "run":
                rows = [asdict(part) for part in groundling.labs.lens.health(self.session.run)]
                self.post({"type": "layers", **self._where(source), "rows": rows})

    def _fail(self, error: BaseException) -> None:
        self.following, self.lens = False, None
        why = sentence(error, self.session)
        self.post({"type": "unlens", "source": self.asked["source"], "message": why})

    def _where(self, source: str) -> Message:
        run = self.session.run
        return {"source": source, "iter": run.iter if source == "run" else None}

    def _told(self, look: Look, corpus: Vocabulary, tokens: np.ndarray) -> tuple[Message, bytes]:
        """The likeliest characters of each guess, and the attention in 65,535ths, as uint16."""
        if not (np.isfinite(look.lens).all() and np.isfinite(look.attention).all()):
            raise ValueError("The model's numbers are no longer finite: there is nothing to see.")
        order = np.argsort(-look.lens, axis=-1)[..., :TOP]
        probabilities = np.take_along_axis(look.lens, order, axis=-1)
        guesses = [
            [
                [
                    [corpus.vocab[token], round(float(probability), 4)]
                    for token, probability in zip(*guess, strict=True)
                ]
                for guess in zip(*layer, strict=True)
            ]
            for layer in zip(order.tolist(), probabilities.tolist(), strict=True)
        ]
        layers, heads = look.attention.shape[:2]
        told = {
            "text": list(corpus.decode(tokens)),
            "layers": layers,
            "heads": heads,
            "guesses": guesses,
        }
        return told, np.round(65535 * look.attention).astype("<u2").tobytes()
