"""The page's console: what Python prints, and a prompt into the run, between two iterations."""

from __future__ import annotations

import ast
import io
import linecache
import reprlib
import sys
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from explain import LOST, code_error
from view import Message, View

import groundling.runs.samples
import groundling.runs.writer
from groundling.edits.errors import CONSOLE

if TYPE_CHECKING:
    import messages.code
    from view import PageSession

EVERY = 1 / 20  # seconds: messages come no more often
HEAD = TAIL = 8_000  # characters of output that a message has of its beginning and of its end
MAX_TEXT = 100_000  # characters at the prompt
MAX_SHOWN = 4_000  # characters of a value
KEPT = 50  # texts that were typed, for the lines in tracebacks
SIDE = 64  # pixels, of an array's picture
OF_A_RUN = "run", "model", "optimizer", "sample"


class Output:
    """What was printed since the last message: its beginning and end, and how much is between."""

    def __init__(self):
        self.head: list[Message] = []
        self.tail: deque[tuple[str, str]] = deque()
        self.size = self.tail_size = self.lines = self.characters = 0

    def __bool__(self) -> bool:
        return bool(self.head)

    def add(self, entry: Message) -> None:
        """Add an entry that is not printed text, and is always kept."""
        entries = [*self.take(), entry]
        self.head, self.size = entries, HEAD  # what is printed after it has the tail's room

    def print(self, kind: str, text: str) -> None:
        """Add printed text; kind is "out" or "err"."""
        room = HEAD - self.size
        if room > 0 and not self.tail:
            if self.head and self.head[-1]["kind"] == kind:
                self.head[-1]["text"] += text[:room]
            else:
                self.head.append({"kind": kind, "text": text[:room]})
            self.size += len(text[:room])
            text = text[room:]
        if not text:
            return
        self.tail.append((kind, text))
        self.tail_size += len(text)
        while self.tail_size > TAIL:
            kind, text = self.tail.popleft()
            left_out = text[: self.tail_size - TAIL]
            self.lines += left_out.count("\n")
            self.characters += len(left_out)
            self.tail_size -= len(left_out)
            if len(left_out) < len(text):
                self.tail.appendleft((kind, text[len(left_out) :]))

    def take(self) -> list[Message]:
        """All of it as entries; empties this."""
        entries = self.head
        if self.characters:
            many = f"{self.lines:,} lines" if self.lines > 1 else f"{self.characters:,} characters"
            entries.append({"kind": "err", "text": f"\n… {many} are left out here …\n"})
        for kind, text in self.tail:
            if entries and entries[-1]["kind"] == kind:
                entries[-1]["text"] += text
            else:
                entries.append({"kind": kind, "text": text})
        self.__init__()
        return entries


class Stream(io.TextIOBase):
    """Replaces sys.stdout or sys.stderr."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, view: ConsoleView, kind: str):
        self.view, self.kind = view, kind

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        self.view.print(self.kind, text)
        return len(text)


class ConsoleView(View):
    """What is printed, and what is typed at the prompt."""

    commands = ("evaluate",)

    def __init__(self, session: PageSession, changed: Callable[[], None]):
        """changed() is told of whatever may have changed what a step computes."""
        super().__init__(session)
        self.changed = changed
        self.output, self.posted = Output(), -EVERY
        self.names: dict = {"__name__": "__console__", "__doc__": None}
        self.given: dict = {}  # those of the names that are ours, as we gave them
        self.count = 0

    def capture(self) -> None:
        """Capture all that Python prints from now on."""
        sys.stdout, sys.stderr = Stream(self, "out"), Stream(self, "err")

    def print(self, kind: str, text: str) -> None:
        """Show text, now or with what comes next; print() writes the end of a line by itself."""
        self.output.print(kind, text)
        if text.endswith("\n"):
            self.flush()

    @property
    def running(self) -> bool:
        """Whether something waits to be posted."""
        return bool(self.output)

    def flush(self) -> None:
        """Post what waits, if it is time to."""
        if self.output and (now := self.session.clock()) - self.posted >= EVERY:
            self.posted = now
            self.post({"type": "console", "entries": self.output.take()})

    advance = flush

    def _flush_now(self) -> None:
        self.posted = -EVERY
        self.flush()

    def do_evaluate(self, message: messages.code.EvaluateCommand) -> None:
        """Run what was typed, and show its value; whatever it raises is shown too."""
        text = message["text"]
        self.output.add({"kind": "in", "text": text[:MAX_TEXT]})
        self._flush_now()  # it may not end
        try:
            if len(text) > MAX_TEXT:
                raise ValueError(f"The prompt takes {MAX_TEXT:,} characters; a file takes more.")
            value = self._evaluate(text)
            if value is not None:
                self.names["_"] = value
                self.output.add(entry(value))
        except LOST:
            raise
        except BaseException as error:
            self.output.add(self._refusal(error))
        finally:
            if can_change(text):
                self.changed()
                if self.session.page_run:
                    self.session.page_run.recapture()  # whatever it has changed: a run follows it
            self._flush_now()
            self.post({"type": "evaluated"})

    def _evaluate(self, text: str) -> object:
        """The value of the last expression, or None."""
        names = self.known()
        name = f"{CONSOLE} {self.count}>"
        self.count += 1
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        linecache.cache.pop(f"{CONSOLE} {self.count - KEPT}>", None)
        tree = compile(text, name, "exec", ast.PyCF_ONLY_AST)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), names)
        if last is None:
            return None
        return eval(compile(ast.Expression(last.value), name, "eval"), names)

    def known(self) -> dict:
        """The names at the prompt: what there is now, unless the reader has used its name."""
        session, run = self.session, self.session.run
        now = {"np": np, "groundling": sys.modules["groundling"], "corpus": session.corpus}
        if session.device:
            now["device"] = session.device
        if run:
            now |= {"run": run, "model": run.model, "optimizer": run.optimizer}
            now["sample"] = self.given.get("sample", self._sample)
        for name in {*now, *self.given}:
            if self.names.get(name) is self.given.get(name):  # as we gave it, or not there
                self.names.pop(name, None)
                if name in now:
                    self.names[name] = now[name]
        self.given = now
        return self.names

    def _sample(
        self,
        prompt: str | None = None,
        length: int = 200,
        temperature: float = 0.8,
        **settings,
    ) -> str:
        """The prompt (by default the beginning of the validation text) and `length` characters that
        continue it. Other settings are top_k, top_p and seed (by default the run's).
        """
        run = self.session.run
        if run is None:
            raise ValueError("There is no run to sample from: press Start, or load one.")
        seed = settings.pop("seed", run.config.seed)
        prompt = groundling.runs.samples.prompt(run.corpus) if prompt is None else prompt
        return prompt + groundling.runs.writer.generate(
            run.model, run.corpus, prompt, length, seed, temperature=temperature, **settings
        )

    def _refusal(self, error: BaseException) -> Message:
        told = code_error(error)
        if isinstance(error, NameError) and error.name in OF_A_RUN and not self.session.run:
            told["title"] = "There is no run"
            told["hint"] = f"{error.name} is there once you press Start, or load a run."
        return {"kind": "error", "text": told["message"], "error": told}


def can_change(text: str) -> bool:
    """Whether what was typed may change what a step computes: it binds or calls something."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # none of it has run
    return any(
        isinstance(node, ast.Call | ast.NamedExpr)
        or (isinstance(node, ast.stmt) and not isinstance(node, ast.Expr))
        for node in nodes
    )


# ---- values --------------------------------------------------------------------------------------


class Short(reprlib.Repr):
    """repr with limits, and a line for each key of a dictionary."""

    def __init__(self):
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 6, 2_000, 1_000
        self.maxlist = self.maxtuple = self.maxset = self.maxdeque = self.maxarray = 100
        self.maxfrozenset, self.maxdict, self.maxlong = 100, 100, 200

    def repr_dict(self, value: dict, level: int) -> str:
        if level <= 0 or not value:
            return "{...}" if value else "{}"
        parts = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}"
            for key, item in islice(value.items(), self.maxdict)
        ]
        if len(value) > self.maxdict:
            parts.append(f"... {len(value) - self.maxdict:,} more")
        between = ",\n " if level == self.maxlevel and len(parts) > 1 else ", "
        return "{" + between.join(parts) + "}"


def entry(value: object) -> Message:
    """A value as the console shows it: text, and a picture of arrays and tensors."""
    if isinstance(value, np.ndarray):
        numbers, named = value, f"ndarray {value.dtype} {value.shape}"
    elif is_tensor(value):
        numbers, named = value.numpy(), repr(value)
    else:
        text = Short().repr(value)
        return {"kind": "value", "text": shortened(text)}
    if numbers.dtype.kind not in "biuf":
        return {"kind": "value", "text": shortened(repr(value))}
    with np.printoptions(threshold=60, edgeitems=3, precision=5):
        text = f"{named}\n{numbers}"
    return {"kind": "array", "text": shortened(text), "array": picture(numbers, value.dtype)}


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of the library, also of tensor.py before an edit."""
    kinds = type(value).__mro__
    return any(
        (kind.__name__, kind.__module__) == ("Tensor", "groundling.engine.tensor") for kind in kinds
    )


def shortened(text: str) -> str:
    """The text, without its middle if it is long."""
    if len(text) <= MAX_SHOWN:
        return text
    half = MAX_SHOWN // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters …\n{text[-half:]}"


def picture(numbers: np.ndarray, dtype: object) -> Message:
    """An array's shape, statistics and pixels: black is the least number, white the greatest."""
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers.reshape(-1)
    facts = dict.fromkeys(("mean", "std", "min", "max"))
    if finite.size:
        wide = finite.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            found = wide.mean(), wide.std(), wide.min(), wide.max()
        facts = {
            name: float(number) if np.isfinite(number) else None
            for name, number in zip(facts, found, strict=True)
        }
    width = height = 0
    pixels: list[int] = []
    if numbers.ndim and numbers.size:
        rows = np.nan_to_num(numbers.reshape(-1, numbers.shape[-1]).astype(np.float64))
        rows = averaged(averaged(rows).T).T
        height, width = rows.shape
        rows /= 2  # so that the span of the largest floats is one too
        low, high = rows.min(), rows.max()
        scaled = (rows - low) / (high - low) if low < high else np.full(rows.shape, 0.5)
        pixels = np.rint(255 * scaled).astype(int).reshape(-1).tolist()
    sizes = {"width": width, "height": height, "pixels": pixels}
    return {"shape": list(numbers.shape), "dtype": str(dtype), **facts, **sizes}


def averaged(rows: np.ndarray) -> np.ndarray:
    """At most SIDE rows, each the mean of as many as it stands for."""
    n = len(rows)
    if n <= SIDE:
        return rows
    edges = np.arange(SIDE + 1) * n // SIDE
    return np.add.reduceat(rows, edges[:-1], axis=0) / np.diff(edges)[:, None]
