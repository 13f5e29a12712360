"""The page's Text and model tab: a text of one's own, and the model and training to learn it by."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from background import sentence
from view import Message, View

import groundling.config
import groundling.data
import groundling.devices.limits
import groundling.runs.configfile
import groundling.runs.cost
import groundling.runs.presets
import groundling.runs.texts

if TYPE_CHECKING:
    import messages.text
    from view import PageSession

    from groundling.data import Corpus
    from groundling.runs.configfile import Setup
    from groundling.runs.run import Run

SHOWN = 12  # unusual characters that the page lists


class TextView(View):
    """Reads texts, checks drafts of a config, and gives both to the session for its next run."""

    commands = ("setups", "text", "untext", "use", "warmup")
    live = ("draft", "config")

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.files: list[tuple[str, bytes]] = []  # of the text that is coming in
        self.turn = 0  # which that is
        self.rates: dict[str, float] = {}  # FLOPs a second, by device
        self.shown = False  # to a reader who has opened the tab
        self.told: Run | None = None  # the run whose settings the form has

    # ---- commands -------------------------------------------------------------------------------

    def do_setups(self, message: messages.text.SetupsCommand) -> None:
        """Post the presets and the form; then, once it is measured, the time of each preset."""
        known = self._rate(measure=False)
        self._post_setups()
        self.shown, self.told = True, self.session.run
        self._post_text()
        self._post_draft(self._in_force())
        if self._rate(measure=True) != known:
            self._post_setups()
            self._post_draft(self._in_force())

    def do_text(self, message: messages.text.TextCommand) -> None:
        """Add a file to the text. Without `more` files to come, read the text."""
        if message["turn"] != self.turn:
            self.files, self.turn = [], message["turn"]  # of another one not all has come
        self.files.append((message["name"], message["bytes"]))
        if message["more"]:
            return
        files, self.files = self.files, []
        self._require_rest()
        corpus = groundling.runs.texts.read(files, self.session.setup.tokenizer)
        self._take(self.session.setup, corpus, message["turn"])

    def do_untext(self, message: messages.text.UntextCommand) -> None:
        """Go back to tiny-shakespeare."""
        self._require_rest()
        setup = self.session.setup
        self._take(setup, groundling.data.shakespeare(setup.tokenizer))

    def do_draft(self, message: messages.text.DraftCommand) -> None:
        """Check a config, as JSON or as a file has it, and tell what it costs."""
        raw = message.get("bytes") or message["text"].encode()
        setup = groundling.runs.configfile.loads(raw, self._in_force())
        self._post_draft(setup, answer=True)

    def do_use(self, message: messages.text.UseCommand) -> None:
        """Use a config for the next run, or change the run as far as possible."""
        setup = groundling.runs.configfile.loads(message["text"].encode(), self._in_force())
        if self.session.run:
            self._change(self.session.run, setup)
            return
        self._require_rest()
        corpus = groundling.runs.texts.read_as(self.session.corpus, setup.tokenizer)
        self._take(setup, corpus, settings=True)

    def do_warmup(self, message: messages.text.WarmupCommand) -> None:
        """Set the warm-up of the run, or of the next one."""
        setup = self._in_force()
        setup = replace(setup, train=replace(setup.train, warmup=message["value"]))
        if self.session.run:
            self._change(self.session.run, setup)
            return
        self.session.setup = setup
        self._post_draft(setup)

    def do_config(self, message: messages.text.ConfigCommand) -> None:
        """Post a config as a file."""
        setup = groundling.runs.configfile.loads(message["text"].encode(), self.session.setup)
        data = groundling.runs.configfile.dumps(setup).encode()
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in setup.name)
        file = {"name": f"{name}.json", "mime": "application/json", "bytes": data}
        self.post({"type": "file", **file})

    def on_phase(self, phase: str) -> None:
        """Post the settings of a run that has just become the page's, or of the next one."""
        if self.shown and self.told is not self.session.run and phase != "booting":
            self.told = self.session.run
            self._post_draft(self._in_force())

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error where the page waits for the answer."""
        problem, kind = sentence(error, self.session), message["type"]
        if kind in ("text", "untext"):
            self._post_text(problem, message.get("turn"))
        elif kind in ("draft", "use", "config"):
            told = {"type": "draft", "problem": problem, "config": None}
            self.post(told | ({"answer": True} if kind == "draft" else {}))
        else:
            super().on_failure(message, error)

    # ---- what is in force -----------------------------------------------------------------------

    def _require_rest(self) -> None:
        if self.session.phase != "ready":
            raise ValueError(
                "The text and the model are the run's until Reset. Reset, then choose."
            )

    def _in_force(self) -> Setup:
        """The setup of the run, or of the next one."""
        run, setup = self.session.run, self.session.setup
        if run is None:
            return setup
        intervals = {"sample_interval": run.sample_every or setup.sample_interval}
        return replace(setup, model=run.model.config, train=run.config, **intervals)

    def _change(self, run: Run, setup: Setup) -> None:
        """Change the run, from its next iteration on. ValueError."""
        now = self._in_force()
        if (setup.model, setup.tokenizer) != (now.model, now.tokenizer):
            raise ValueError("The model is the run's until Reset. Reset, then choose.")
        was, new = vars(now.train), vars(setup.train)
        changes = {name: new[name] for name in was if was[name] != new[name]}
        for name in changes:
            if name in groundling.config.SETTLED:
                raise ValueError(f"{name} is the run's until Reset. The others can change.")
        run.change(**changes)
        run.sample_every = setup.sample_interval
        self.session.setup = replace(self.session.setup, **_intervals(setup))
        self.session.post_changed()
        self._post_draft(self._in_force())

    def _take(
        self, setup: Setup, corpus: Corpus, turn: int | None = None, settings: bool = False
    ) -> None:
        """Use a text and a setup for the next run, with its settings or those that the reader has
        typed. ValueError if this device cannot train them.
        """
        setup = setup.on(corpus)
        if problem := groundling.runs.cost.refusal(setup, self._limits(), corpus):
            raise ValueError(problem)
        self.session.setup, self.session.corpus = setup, corpus
        self.session.renew()
        if settings:
            self.session.post_setup()  # before it is told as in use: then the reader types again
        self._post_text(turn=turn)
        self._post_draft(setup)

    def _post_text(self, problem: str = "", turn: int | None = None) -> None:
        """Post the text in use, or why the one of this turn is not used."""
        corpus, setup = self.session.corpus, self.session.setup
        facts = None
        if not problem:
            survey = groundling.runs.texts.survey(corpus)
            parameters = groundling.runs.cost.cost(setup).parameters
            ratio, advice = groundling.runs.texts.advice(corpus, parameters)
            manifest = groundling.runs.texts.manifest(corpus, setup.train.seed)
            facts = asdict(survey) | {"ratio": ratio, "advice": advice}
            facts |= {"ours": corpus.sha256 == groundling.data.SHAKESPEARE_SHA256}
            facts["manifest"] = asdict(manifest)
            facts["unusual"] = facts["unusual"][:SHOWN]
            facts["nUnusual"] = facts.pop("n_unusual")
        self.post({"type": "text", "turn": turn, "problem": problem, "facts": facts})

    def _post_setups(self) -> None:
        limits, rate = self._limits(), self._rate(measure=False)
        presets, as_json = groundling.runs.presets, groundling.runs.configfile.as_json
        rows = list(presets.table(limits, rate))
        for row in rows:
            row["config"] = as_json(presets.PRESETS[row["name"]])
        self.post({"type": "setups", "presets": rows, "fields": _fields()})

    def _post_draft(self, setup: Setup, answer: bool = False) -> None:
        corpus = self.session.corpus
        if setup.tokenizer == corpus.tokenizer:
            setup = setup.on(corpus)
        cost = groundling.runs.cost.cost(setup)
        rate = self._rate(measure=False)
        self.post(
            {
                "type": "draft",
                "problem": groundling.runs.cost.refusal(setup, self._limits(), corpus),
                "config": groundling.runs.configfile.as_json(setup),
                "answer": answer,
                "inForce": setup == self._in_force(),
                "parameters": cost.parameters,
                "memory": cost.total,
                "flops": cost.flops,
                "seconds": groundling.runs.presets.seconds(setup, rate) if rate else None,
                "advice": groundling.runs.texts.advice(corpus, cost.parameters)[1],
            }
        )

    def _limits(self) -> groundling.devices.limits.Limits:
        return groundling.devices.limits.limits(self.session.device)

    def _rate(self, measure: bool) -> float | None:
        """The device's speed, measured once, when nothing trains and it is not lost."""
        device, phase = self.session.device, self.session.phase
        if measure and device.name not in self.rates and phase not in ("training", "error"):
            self.rates[device.name] = groundling.runs.presets.rate(device)
        return self.rates.get(device.name)


def _intervals(setup: Setup) -> dict[str, int]:
    names = "sample_interval", "checkpoint_interval"
    return {name: getattr(setup, name) for name in names}


def _fields() -> list[Message]:
    """The fields of the form: each hyperparameter's key, range and description."""
    config, file = groundling.config, groundling.runs.configfile
    training = *config.TRAIN_FIELDS, *file.INTERVAL_FIELDS
    return [
        {
            "part": part,
            "key": one.key,
            "label": one.label,
            "about": f"{one.about[0].upper()}{one.about[1:]}.",
            "min": one.limits[0],
            "max": one.limits[1],
            "whole": isinstance(one.limits[0], int),
            "settled": part == "model" or one.name in config.SETTLED,
        }
        for part, fields in (("model", config.MODEL_FIELDS), ("training", training))
        for one in fields
    ]
