"""The page's sample stream: what the run has written, the phase it was in, and its measures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from view import Message, View

import groundling.labs.bigram
import groundling.labs.phases
import groundling.labs.textstats
import groundling.runs.samples

if TYPE_CHECKING:
    from view import PageSession

    from groundling.labs.textstats import TextStats
    from groundling.runs.records import Record
    from groundling.runs.run import Run
    from groundling.runs.samples import Sample


class SamplesView(View):
    """Posts the run's samples."""

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.run: Run | None = None  # whose samples the page has
        self.told = 0  # how many of them
        self.stats: TextStats | None = None
        self.counted: Message = {}  # see messages.run.Counted

    def drop(self) -> None:
        """Forget the run."""
        self.run = None

    def on_phase(self, phase: str) -> None:
        """Post the samples of another run, or the last one of this run."""
        self._tell()

    def on_records(self, records: list[Record]) -> None:
        """Post what was written meanwhile."""
        self._tell()

    def _tell(self) -> None:
        run = self.session.run
        if run is not self.run:
            self.run, self.told = run, 0
        if run is None or len(run.samples) == self.told:
            return
        kind, had = groundling.labs.textstats.TextStats, self.stats
        if type(had) is not kind or had.corpus is not run.corpus:  # new, or edited since
            self.stats = kind(run.corpus)
            self.counted = self._count()
        new, first = run.samples[self.told :], self.told
        self.told = len(run.samples)
        scale = {"written": asdict(self.stats.written), "even": asdict(self.stats.even)}
        self.post(
            {
                "type": "samples",
                "first": first,
                "prompt": groundling.runs.samples.prompt(run.corpus),
                "vocabSize": run.corpus.vocab_size,
                "scale": scale,
                "counted": self.counted,
                "every": run.sample_every,
                "samples": [self._row(sample) for sample in new],
            }
        )

    def _count(self) -> Message:
        """What counting pairs of the run's text comes to."""
        pairs = groundling.labs.bigram.Bigram(self.run.corpus)
        text = pairs.write(groundling.runs.samples.prompt(self.run.corpus))
        measures = asdict(self.stats.of(text))
        return {"loss": pairs.nats, "about": pairs.about, "text": text, "measures": measures}

    def _row(self, sample: Sample) -> Message:
        told = {"phase": "", "about": ""}
        if groundling.labs.phases.has_phases(self.run.corpus, self.run.model.config):
            phase = groundling.labs.phases.phase_of(sample.iter)
            told = {"phase": phase.name, "about": phase.about}
        return {
            "iter": sample.iter,
            "loss": sample.loss,
            **told,
            "text": sample.text,
            "measures": asdict(self.stats.of(sample.text)),
        }
