"""The page's sampler: a model that writes, and what each character was chosen from.

The model is the reference checkpoint, a file of the reader's, or the run, also while it trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from background import BackgroundView, sentence
from messages.limits import MAX_TALK
from view import Message

import groundling.engine.tensor
import groundling.model
import groundling.runs.checkpoint
import groundling.runs.inspector
import groundling.runs.samples
import groundling.runs.writer
import groundling.sampling

if TYPE_CHECKING:
    import messages.talk
    from view import PageSession

    from groundling.data import Vocabulary
    from groundling.model import GPT
    from groundling.runs.checkpoint import Checkpoint

READ_EVERY = 4  # characters between two reads: what a reader sees come in one go
RECITED = 16  # characters that Credits gets at a time


@dataclass
class Text:
    """A prompt and what a model has written after it, with the logits behind every character."""

    id: int
    corpus: Vocabulary
    settings: dict[str, float]  # temperature, top_k, top_p
    prompt: str
    written: str = ""
    logits: list[np.ndarray | None] = field(default_factory=list)
    """What each character was, or would have been, chosen from, (V,); None where there was no
    context, or it was out of the model's reach. The last one is of the character to come, as long
    as nothing is written."""
    new: list[np.ndarray] = field(default_factory=list)  # those of characters to be posted


class TalkView(BackgroundView):
    """At most one text that is being written, and the models that can write it."""

    commands = "voice", "talk", "untalk", "recite"
    live = ("weigh",)
    ends = ("untalk",)

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.voices: dict[str, Checkpoint] = {}  # "reference" and "file", once they were read
        self.models: dict[str, GPT] = {}  # of these, those that are on the device
        self.text: Text | None = None
        self.written: list[str] = []  # what the page does not have yet
        self.recital: Iterator[str] | None = None  # what Credits shows

    def drop(self) -> None:
        """Drop the models on the device, and keep the files that they came from."""
        super().drop()
        self.models.clear()
        self.recital = None

    # ---- commands -------------------------------------------------------------------------------

    def do_voice(self, message: messages.talk.VoiceCommand) -> None:
        """Read a file as one of the models. If it is refused, the model stays as it was."""
        source = message["source"]
        ckpt = groundling.runs.inspector.Contents(message["bytes"]).ckpt
        known = self._vocabulary(ckpt)
        if ckpt.config.vocab_size != known.vocab_size:
            raise ValueError(
                f"The file knows {ckpt.config.vocab_size} characters, and {known.name!r} has "
                f"{known.vocab_size}."
            )
        self.voices[source] = ckpt
        self.models.pop(source, None)
        voice = {
            "name": message["name"],
            "seed": ckpt.seed,
            "iter": ckpt.iter,
            "valLoss": ckpt.val_loss,
            "parameters": int(ckpt.weights.size),
            "vocabSize": known.vocab_size,
            "opening": groundling.runs.samples.opening(known),
        }
        self.post({"type": "voice", "source": source, "problem": "", "voice": voice})

    def do_talk(self, message: messages.talk.TalkCommand) -> None:
        """Start a text in place of the one before. With a length of 0, only read the prompt."""
        settings = {
            "temperature": message["temperature"],
            "top_k": message["topK"],
            "top_p": message["topP"],
        }
        self.text = Text(message["id"], self.session.corpus, settings, message["prompt"])
        self.begin(self._write(self.text, message["source"], message["length"], message["seed"]))

    do_untalk = BackgroundView.end_early

    def do_weigh(self, message: messages.talk.WeighCommand) -> None:
        """Post what a character (null: the last one) was drawn from. No model runs."""
        text = self.text
        if text is None or not text.logits:
            return
        at = message["at"]
        at = len(text.logits) - 1 if at is None else max(0, min(at, len(text.logits) - 1))
        logits, all_of_it = text.logits[at], text.prompt + text.written
        told = {"type": "weighed", "id": text.id, "at": at, "turn": message["turn"]}
        character = all_of_it[at] if at < len(all_of_it) else None
        if logits is None:
            self.post({**told, "character": character, "bars": [], "chosen": None})
            return
        one = groundling.sampling.distribution(
            logits, message["temperature"], message["topK"], message["topP"]
        )
        fates = np.where(one.is_kept, "kept", np.where(one.is_top, "top_p", "top_k"))
        vocab = text.corpus.vocab
        bars = [
            [
                vocab[token],
                float(one.probabilities[token]),
                float(one.drawn[token]),
                str(fates[token]),
            ]
            for token in one.ranked
        ]
        chosen = None
        if character is not None:
            token = vocab.index(character)
            chosen = {
                "nats": float(groundling.sampling.surprise(logits, np.array(token))),
                "rank": int(np.flatnonzero(one.ranked == token)[0]) + 1,
                "drawn": self._probability(at) if at >= len(text.prompt) else None,
            }
        self.post({**told, "character": character, "bars": bars, "chosen": chosen})

    def do_recite(self, message: messages.talk.ReciteCommand) -> None:
        """Post the next characters of an endless text by the reference model."""
        if "reference" not in self.voices:
            return
        part = next(self.recital, "") if self.recital is not None else ""
        if not part:
            model, corpus = self.model_of("reference")
            self.recital = groundling.runs.writer.stream(
                *(model, corpus, message["prompt"] or "\n", MAX_TALK, message["seed"]),
                read_every=RECITED,
            )
            part = next(self.recital)
        self.post({"type": "recited", "text": part, "problem": ""})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error where the page waits for the answer."""
        problem = sentence(error, self.session)
        if message["type"] == "voice":
            told = {"problem": f"{message['name']}: {problem}", "voice": None}
            self.post({"type": "voice", "source": message["source"], **told})
        elif message["type"] == "recite":
            self.recital = None
            self.post({"type": "recited", "text": "", "problem": problem})
        else:
            super().on_failure(message, error)

    # ---- writing --------------------------------------------------------------------------------

    def _write(self, text: Text, source: str, length: int, seed: str) -> Iterator[None]:
        model, corpus = self.model_of(source)
        text.corpus = corpus.by_token()  # each character of the text is one token
        text.prompt = prompt = text.corpus.decode(corpus.encode(text.prompt))
        groundling.sampling.checked(**text.settings)
        for what, size, least in (("prompt", len(prompt), 1), ("length", length, 0)):
            if not least <= size <= MAX_TALK:
                raise ValueError(
                    f"The {what} is {size:,} characters; it may be {least} to {MAX_TALK:,}."
                )
        text.logits = self._of_prompt(model, text.corpus, prompt)
        begun = [self._surprise(i) for i in range(len(prompt))]
        self.tell("begun", prompt=prompt, nats=begun)
        if length:
            yield
            for part in groundling.runs.writer.stream(
                *(model, text.corpus, prompt, length, seed),
                **text.settings,
                logits=text.new,
                read_every=READ_EVERY,
            ):
                self.written.append(part)
                yield
            self.shown()
        self.tell("done")

    def shown(self) -> None:
        """Post what was written in this frame."""
        if not self.written:
            return
        text, written = self.text, "".join(self.written)
        first = len(text.prompt) + len(text.written)
        require_finite(text.new)
        text.written += written
        text.logits[first:], text.new[:] = text.new, []  # the one to come is behind us
        self.written.clear()
        self.tell("writing", **self._since(first))

    def let_go(self) -> None:
        """Drop what was written and not shown."""
        self.written.clear()

    def _since(self, first: int) -> Message:
        """What was written from a place on, each character with its surprise and probability."""
        text = self.text
        places = range(first, len(text.prompt) + len(text.written))
        return {
            "text": text.written[first - len(text.prompt) :],
            "nats": [self._surprise(i) for i in places],
            "probabilities": [self._probability(i) for i in places],
        }

    def model_of(self, source: str) -> tuple[GPT, Vocabulary]:
        """The model of a source, on the device, and what its tokens stand for."""
        run, device = self.session.run, self.session.device
        if device is None or self.session.phase in ("booting", "error"):
            raise ValueError("There is no device to run a model on. Reset, and try again.")
        if source == "run":
            if run is None:
                raise ValueError("There is no run yet: press Start, or load one.")
            return run.model, run.corpus
        if source not in self.voices:
            raise ValueError("No file is open: choose a .bin or a .state.")
        if source not in self.models:
            ckpt = self.voices[source]
            self.models[source] = groundling.model.GPT(ckpt.config, device, ckpt.weights)
        return self.models[source], self._vocabulary(self.voices[source])

    def _vocabulary(self, ckpt: Checkpoint) -> Vocabulary:
        """The vocabulary of a file: its own, or that of the text in use."""
        corpus = self.session.corpus
        if ckpt.vocab_hash == corpus.vocab_hash:
            return corpus
        return groundling.runs.checkpoint.vocabulary(ckpt)

    def _of_prompt(self, model: GPT, corpus: Vocabulary, prompt: str) -> list[np.ndarray | None]:
        """The logits of each character of the prompt and of the one after it, as Text has them."""
        tokens = corpus.encode(prompt)[-model.config.block_size :]
        model.eval()
        with groundling.engine.tensor.no_grad():
            rows = model.forward(model.device.tensor(tokens[None])).numpy()[0]
        require_finite(rows)
        return [None] * (len(prompt) + 1 - len(rows)) + list(rows)

    def _surprise(self, at: int) -> float | None:
        """The surprise of the character at a place, in nats."""
        text = self.text
        if (logits := text.logits[at]) is None:
            return None
        token = text.corpus.vocab.index((text.prompt + text.written)[at])
        return float(groundling.sampling.surprise(logits, np.array(token)))

    def _probability(self, at: int) -> float:
        """The probability with which the character at a place was drawn."""
        text = self.text
        token = text.corpus.vocab.index(text.written[at - len(text.prompt)])
        one = groundling.sampling.distribution(text.logits[at], **text.settings)
        return float(one.drawn[token])

    def tell(self, phase: str, message: str = "", **more: object) -> None:
        """Post how far the text is: the new characters, or why there are no more."""
        usual = {"text": "", "nats": [], "probabilities": [], "prompt": None, "problem": message}
        self.post({"type": "talk", "id": self.text.id, "phase": phase, **usual, **more})


def require_finite(rows: np.ndarray | list[np.ndarray]) -> None:
    """ValueError where one of these rows of logits cannot be drawn from. -inf may be a token's."""
    if not all(np.isfinite(np.max(row)) for row in rows):
        raise ValueError("The model's numbers are not finite: there is nothing to draw from.")
