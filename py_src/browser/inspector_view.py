"""The page's inspector: what is in a weights or a state file, and how two of them differ.

At most two files are open, in the slots "a" and "b". A page of bytes has 512, as a header has.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from background import sentence
from view import Message, View

import groundling.runs.checkpoint
import groundling.runs.inspector
from groundling.runs.checkpoint import HEADER_BYTES, CheckpointError

if TYPE_CHECKING:
    import messages.inspector
    from view import PageSession

    from groundling.runs.inspector import Contents, Part

PAGE = 512  # bytes
BINS = 24  # of a histogram
GROUPS = {"attn": "attention", "mlp": "mlp", "ln_": "norm"}
"""What a tensor's name has in it, and which colour its bytes have; all else is an embedding."""


class InspectorView(View):
    """The files that are open, and what the page is told of them."""

    commands = ("inspect_run",)
    live = "inspect", "look", "close"

    def __init__(self, session: PageSession):
        super().__init__(session)
        self.open: dict[str, Contents] = {}

    def do_inspect(self, message: messages.inspector.InspectCommand) -> None:
        """Open a file."""
        self.read(message["slot"], message["name"], message["bytes"])

    def do_inspect_run(self, message: messages.inspector.InspectRunCommand) -> None:
        """Open the current weights, as Save weights would write them."""
        slot, name, run = message["slot"], "the current run", self.session.run
        if not run:
            self.refuse(slot, name, "There is no run yet: press Start, or load one.")
            return
        ckpt = run.checkpoint()
        name = groundling.runs.checkpoint.file_name(ckpt.seed, ckpt.iter, ckpt.config)
        self.read(slot, name, groundling.runs.checkpoint.dumps(ckpt))

    def do_look(self, message: messages.inspector.LookCommand) -> None:
        """Show a page of a file's bytes."""
        self.look(message["slot"], message["page"])

    def do_close(self, message: messages.inspector.CloseCommand) -> None:
        """Empty a slot."""
        self.open.pop(message["slot"], None)
        self.post({"type": "closed", "slot": message["slot"]})

    def on_failure(self, message: Message, error: BaseException) -> None:
        """Report the error in the slot."""
        name = message.get("name", "the current run")
        self.refuse(message["slot"], name, sentence(error, self.session))

    def read(self, slot: str, name: str, data: bytes) -> None:
        """Open a file in a slot. One that is refused leaves the slot as it was."""
        try:
            contents = groundling.runs.inspector.Contents(data)
        except CheckpointError as error:
            self.refuse(slot, name, str(error))
            return
        self.open[slot] = contents
        self.post({"type": "inspected", "slot": slot, "name": name, **told(contents)})
        self.look(slot, 0)
        self.compare()

    def refuse(self, slot: str, name: str, why: str) -> None:
        """Tell the page that a file is not opened, and why."""
        self.post({"type": "uninspected", "slot": slot, "name": name, "message": why})

    def look(self, slot: str, page: int) -> None:
        """Post a page of a file's bytes: the nearest that exists."""
        if (contents := self.open.get(slot)) is not None:
            last = (len(contents.data) - 1) // PAGE
            self.post({"type": "bytes", "slot": slot, **page_of(contents, min(max(page, 0), last))})

    def compare(self) -> None:
        """Post the differences of the two open files, tensor by tensor."""
        if len(self.open) < 2:
            return
        try:
            differences = groundling.runs.inspector.compare(self.open["a"], self.open["b"])
        except ValueError as error:
            self.post({"type": "compared", "text": str(error), "rows": []})
            return
        floats = sum(int(np.prod(one.shape)) for one in differences)
        count = sum(one.count for one in differences)
        apart = sum(one.count > 0 for one in differences)
        if count == 0:
            text = f"All {floats:,} numbers are the same, bit for bit."
            if self.open["a"].data == self.open["b"].data:
                text += " The files are the same bytes."
        else:
            text = (
                f"{count:,} of {floats:,} numbers differ, in {apart} of {len(differences)} tensors."
            )
        if len({len(contents.parts) for contents in self.open.values()}) > 1:
            text += " Only one of the files has AdamW's averages, so the weights are compared."
        rows = [asdict(one) for one in differences]
        for each in rows:
            each["floats"] = int(np.prod(each.pop("shape")))
        self.post({"type": "compared", "text": text, "rows": rows})


def told(contents: Contents) -> Message:
    """What the page shows of a file, without its bytes."""
    ckpt, saved = contents.ckpt, contents.saved
    return {
        "kind": "state" if saved else "weights",
        "seed": ckpt.seed,
        "iter": ckpt.iter,
        "valLoss": ckpt.val_loss,
        "header": contents.header,
        "size": len(contents.data),
        "start": contents.start,
        "end": contents.end,
        "explained": explained(contents),
        "parts": [row(part) for part in contents.parts],
    }


def row(part: Part) -> Message:
    """A tensor, as a row of the table."""
    mean, std, least, greatest = part.statistics
    return {
        "name": part.name,
        "group": next((group for key, group in GROUPS.items() if key in part.name), "embedding"),
        "shape": list(part.shape),
        "byte": part.byte,
        "floats": int(part.numbers.size),
        "mean": mean,
        "std": std,
        "min": least,
        "max": greatest,
        "histogram": part.histogram(BINS).tolist(),
    }


def explained(contents: Contents) -> Message:
    """How the size of the file comes from its parameters and header."""
    config, rows = contents.ckpt.config, groundling.runs.inspector.size(contents.ckpt.config)
    total = sum(count for _, count in rows)
    lead = [f"{HEADER_BYTES:,} of header"]
    times = note = ""
    if contents.saved:
        lead.append(f"{contents.start - HEADER_BYTES:,} of settings and records")
        times = "3 x "
        note = "A state has three of each: the weight and AdamW's two averages. "
    if config.d_ff == 4 * config.n_embd:
        block = 12 * config.n_embd**2
        note += (
            f"The MLP is 4 x {config.n_embd} wide, so the matrices of a block are 12 d², here "
            f"12 x {config.n_embd}² = {block:,}: in {config.n_layer} blocks "
            f"{config.n_layer * block:,}."
        )
    after = len(contents.data) - contents.end
    tail = f" + {after:,} of vocabulary" if after else ""
    return {
        "rows": [{"what": what, "count": count} for what, count in rows],
        "total": total,
        "note": note,
        "sum": f"{' + '.join(lead)} + {times}4 x {total:,}{tail} = {len(contents.data):,} bytes",
    }


def page_of(contents: Contents, page: int) -> Message:
    """A page of bytes: in hexadecimal, and each four as a number, or as text outside the floats."""
    at = PAGE * page
    raw = bytes(contents.data[at : at + PAGE])
    cells: list[str | float] = []
    for i, j in pairwise([*range(0, len(raw), 4), len(raw)]):
        if not contents.start <= at + i < contents.end:
            cells.append(raw[i:j].decode("ascii", "replace"))
        else:
            cells.append(float(np.frombuffer(raw, "<f4", 1, i)[0]))
    return {"page": page, "at": at, "hex": raw.hex(), "cells": cells}
