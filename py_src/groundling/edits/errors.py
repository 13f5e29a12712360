"""What went wrong in code that the reader may have edited: where, in words, and what to try.

    told = describe(error, files)
    told.title, told.message, told.hint    what happened, and what to do about it
    told.frames                            where: the calls that led there, the innermost last
    told.detail                            Python's own traceback

`files` are the reader's: path to text. A frame in one of them, or in the console, is `yours`; the
others are the library's, and can be folded. Lines count from 1, columns from 0 in UTF-16 code
units, as an editor in a browser counts them. All of it is bounded, whatever was raised.

Errors are told apart by the names of their classes: an edit may have made a class anew.
"""

import builtins
import difflib
import linecache
import re
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import CodeType, TracebackType

from .. import sources
from .columns import from_bytes, units, whole
from .introspect import MRO, attributes
from .moved import MOVED

CONSOLE = "<console"  # so begins the file name of what was typed at the prompt
HOST = re.compile("^<frozen |/py_src/browser/|/groundling/(cli/.*|edits/(live|project))[.]py$")
MAX_FRAMES = 40
MAX_MESSAGE = 2_000  # characters
MAX_DETAIL = 20_000
MAX_LINE = 500
DEEP = 200  # calls that Python's traceback has; of more, the innermost


@dataclass(frozen=True)
class Frame:
    """A place in a traceback."""

    path: str  # as the editor has it: py_src/groundling/train.py, shaders/gelu.wgsl, "" the console
    name: str  # the function's
    line: int
    column: int
    end_line: int
    end_column: int
    text: str  # of the line
    yours: bool


@dataclass(frozen=True)
class CodeError:
    """An error in words."""

    title: str
    message: str
    hint: str
    detail: str
    frames: list[Frame]


def describe(error: BaseException, files: Mapping[str, str] | None = None) -> CodeError:
    """Describe an exception, and the places in its traceback."""
    files, said = files or {}, _said(error)
    kernel = re.match(r"Kernel (\w+)(?: does not compile)?:", said)
    if "DeviceError" in _kinds(error) and kernel and "its parameters are" not in said:
        problem = wgsl_problem(said)
        message = problem[0] if problem else said
        frames = [_wgsl_frame(kernel[1], problem, files)]
    else:
        name = "" if isinstance(error, SyntaxError) else type(error).__name__
        message = ": ".join(filter(None, (name, said)))
        frames = _frames(error, files)
        if cause := error.__cause__:
            message += f" (It came of {type(cause).__name__}: {_cut(_said(cause), 300)})"
    title, hint = _words(error, said)
    message, hint = _cut(message, MAX_MESSAGE), _cut(hint, MAX_MESSAGE)
    return CodeError(title, message, hint, _detail(error), frames)


# ---- where ---------------------------------------------------------------------------------------


def _frames(error: BaseException, files: Mapping[str, str]) -> list[Frame]:
    frames = _walk(error.__traceback__, files)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and not any(frame.yours for frame in frames):
        behind = _walk(before.__traceback__, files)
        frames = behind if any(frame.yours for frame in behind) else frames
    if isinstance(error, SyntaxError) and error.filename:
        frames = [*frames[1 - MAX_FRAMES :], _syntax_frame(error, files)]
    return frames


def _walk(trace: TracebackType | None, files: Mapping[str, str]) -> list[Frame]:
    """The outermost and the innermost frames, without those of what runs the code."""
    outer, inner = [], deque(maxlen=MAX_FRAMES // 2)
    while trace is not None:
        code = trace.tb_frame.f_code
        if not HOST.search(code.co_filename.replace("\\", "/")):
            (outer if len(outer) < MAX_FRAMES // 2 else inner).append(
                (code, trace.tb_lasti, trace.tb_lineno)
            )
        trace = trace.tb_next
    return [_frame(*place, files) for place in (*outer, *inner)]


def _frame(code: CodeType, at: int, line: int | None, files: Mapping[str, str]) -> Frame:
    """The frame of an instruction. Python counts its columns in bytes of UTF-8."""
    path, line = shown_path(code.co_filename), line or 1
    text = _line(code.co_filename, path, line, files)
    unknown = (None,) * 4
    place = next(islice(code.co_positions(), at // 2, None), unknown) if at >= 0 else unknown
    _, end, column, end_column = place
    if place[0] != line or None in place:
        span = line, *whole(text)
    else:
        last = _line(code.co_filename, path, end, files)
        span = end, from_bytes(text, column), from_bytes(last, end_column)
    end, column, end_column = span
    yours = path in files or path == ""
    return Frame(path, code.co_name, line, column, end, end_column, text[:MAX_LINE], yours)


def _syntax_frame(error: SyntaxError, files: Mapping[str, str]) -> Frame:
    """Where the text is not Python. Python counts its columns from 1, in characters."""
    path, line = shown_path(error.filename), max(1, error.lineno or 1)
    text = _line(error.filename, path, line, files) or (error.text or "").rstrip("\n")
    if not error.offset or error.offset < 1:
        end, (column, end_column) = line, whole(text)
    else:
        end = max(line, error.end_lineno or line)
        last = text if end == line else _line(error.filename, path, end, files)
        column = units(text[: error.offset - 1])
        end_column = units(last[: max(0, (error.end_offset or 0) - 1)])
        if end == line and end_column <= column:
            end_column = column + 1
    yours = path in files or path == ""
    return Frame(path, "", line, column, end, end_column, text[:MAX_LINE], yours)


def shown_path(file_name: str) -> str:
    """A file's path as the editor has it: the library's from `py_src` on, others by their end."""
    name = file_name.replace("\\", "/")
    if name.startswith(CONSOLE):
        return ""
    if name.startswith(sources.LIBRARY):
        return name
    package = sources.folder(sources.LIBRARY).as_posix() + "/"
    if name.startswith(package):
        return sources.LIBRARY + name.removeprefix(package)
    for folder in ("/site-packages/", f"/python{sys.version_info[0]}.{sys.version_info[1]}/"):
        if folder in name:
            return name.rpartition(folder)[2]
    return name.rpartition("/")[2]


def _line(file_name: str, path: str, line: int, files: Mapping[str, str]) -> str:
    if path in files:
        lines = files[path].split("\n")
        return lines[line - 1].rstrip("\r") if 0 < line <= len(lines) else ""
    return linecache.getline(file_name, line).rstrip("\r\n")


# ---- WGSL ----------------------------------------------------------------------------------------


def wgsl_problem(said: str) -> tuple[str, int, int, int] | None:
    """What a WGSL compiler says is wrong, and where: message, line and column from 1, and length;
    or None. Naga (natively) draws an arrow; Tint (in Chromium) begins with :line:column.
    """
    if found := NAGA.search(said):
        what, line, column, rest = found.groups()
        notes = [note.strip() for note in re.findall(r"^ *= (.+)$", rest, re.M)]
        message = ". ".join([what.strip(), *notes])
    elif found := TINT.search(said):
        line, column, message, rest = found.groups()
    else:
        return None
    carets = re.search(r"^[ │|]*(\^+)", rest, re.M)
    length = len(carets[1]) if carets else 1
    return _cut(message.strip(), MAX_MESSAGE), int(line), int(column), length


NAGA = re.compile(r"(?:parsing|validation) error: ([^\n]*)\n\s*┌─ [^\n:]*:(\d+):(\d+)((?s:.*))")
TINT = re.compile(r":(\d+):(\d+) error: ([^\n]*)((?s:.*))")


def _wgsl_frame(kernel: str, problem: tuple | None, files: Mapping[str, str]) -> Frame:
    path = sources.kernel_path(kernel)
    _, line, column, length = problem or ("", 1, 0, 0)
    lines = files.get(path, "").split("\n")
    text = lines[line - 1].rstrip("\r") if line <= len(lines) else ""
    if column:
        start = units(text[: column - 1]) if text else column - 1
        end = start + length
    else:
        start, end = whole(text)
    return Frame(path, "", line, start, line, end, text[:MAX_LINE], path in files)


# ---- in words ------------------------------------------------------------------------------------


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in MRO(type(error))}


def _words(error: BaseException, said: str) -> tuple[str, str]:
    """A title, and what to do about it."""
    kinds = _kinds(error)
    for names, pattern, title, hint in WORDS:
        if kinds.intersection(names.split()) and re.search(pattern, said):
            return title, hint(error) if callable(hint) else hint
    return "The code raised an error", "The marked line is where it happened."


def _name_hint(error: NameError) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    known = [*frames[-1].f_locals, *frames[-1].f_globals, *vars(builtins)] if frames else []
    if like := _alike(error.name, known):
        return f"Did you mean {like!r}?"
    return "Define it above this line, or import it at the head of the file."


def _attribute_hint(error: AttributeError) -> str:
    if like := _alike(error.name, attributes(error.obj)):
        return f"Did you mean .{like}?"
    kind = type(error.obj)
    return f"What stands before the dot is {_a(kind.__name__)}, which has no {error.name}."


def _import_hint(error: ImportError) -> str:
    name = error.name or ""
    if now := MOVED.get(f"{sources.LIBRARY}{name.partition('.')[2].replace('.', '/')}.py"):
        return (
            f"{name} is {sources.module_of(now)} now: this code was written for an earlier version "
            "of the library."
        )
    module = sys.modules.get(name)
    wanted = re.search(r"cannot import name '(\w+)'", str(error))
    if module and wanted:
        like = _alike(wanted[1], vars(module))
        other = f"Define it in {name}, or import another name."
        return f"Did you mean {like!r}?" if like else other
    return (
        "What can be imported is groundling, NumPy and Python's standard library; a module of your "
        "own is a new file beside train.py, imported as `from .its_name import ...`."
    )


def _alike(name: str | None, known: Iterable[str]) -> str:
    names = [other for other in islice(known, 5_000) if isinstance(other, str) and other != name]
    close = difflib.get_close_matches(name[:100], names, 1, 0.7) if name else []
    return close[0] if close else ""


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


PARAMETERS = (
    "A kernel's parameters are the fields of `struct Params` in its file in shaders/, and the "
    "arguments after the arrays of its NumPy reference: give device.run all of them, by those "
    "names."
)
SHAPES = (
    "Follow the two shapes back to where each was made. Weights of a linear layer are (in, out); "
    "what the model computes is (batch, time, channels)."
)

# The first row that fits has the words: classes, what the message must have, title, hint.
WORDS = (
    (
        "IndentationError",
        "",
        "The indentation is wrong",
        "Lines of one block begin in the same column, four blanks further in than the line with "
        "the colon that opens it. Do not mix tabs and blanks.",
    ),
    (
        "SyntaxError",
        "never closed|EOF|unterminated",
        "This is not Python yet",
        "Something that opens here is not closed: look for the bracket or quote that is missing.",
    ),
    (
        "SyntaxError",
        "",
        "This is not Python",
        "The marked place is where it cannot be read on; the mistake may be just before it.",
    ),
    (
        "KeyboardInterrupt",
        "",
        "Stopped",
        "The code was ended where it was, as you asked. A loop needs an end, and a training loop "
        "yields a Record for each iteration.",
    ),
    (
        "SystemExit",
        "",
        "The code asked Python to exit",
        "There is nothing to exit to here: leave out exit(), or return instead.",
    ),
    (
        "UnboundLocalError",
        "",
        "This name has no value yet",
        "A name that a function assigns anywhere is its own in all of it. Assign it before this "
        "line, or give the two different names.",
    ),
    ("NameError", "", "This name is not defined", _name_hint),
    (
        "AttributeError",
        "^'NoneType' object has no attribute",
        "There is nothing here: None",
        "A function that ends without `return` gives None. Look at where the value before the dot "
        "was made: what made it, does it return what it made?",
    ),
    ("AttributeError", "", "There is no such attribute", _attribute_hint),
    ("ImportError", "", "This cannot be imported", _import_hint),
    (
        "TypeError",
        "'NoneType' object is not callable|NoneType",
        "There is nothing here: None",
        "A function that ends without `return` gives None. Does everything that makes this value "
        "return it?",
    ),
    (
        "TypeError",
        "is not callable",
        "This is not a function",
        "Something with () after it is not a function. A comma may be missing before the bracket, "
        "or a name now stands for something else.",
    ),
    (
        "TypeError",
        "argument",
        "The arguments do not fit",
        "Compare the call with the function's first line. " + PARAMETERS,
    ),
    (
        "TypeError",
        "",
        "These types do not go together",
        "Print type(...) of each to see which one is not what you meant.",
    ),
    (
        "DeviceError",
        "its parameters are",
        "The kernel's parameters do not fit",
        PARAMETERS,
    ),
    (
        "DeviceError",
        "There is no kernel",
        "There is no such kernel",
        "A kernel NAME is a file shaders/NAME.wgsl and a function NAME with @kernel above it, "
        "registered by devices/kernels.py or a module of your own.",
    ),
    (
        "DeviceError",
        "does not compile",
        "The kernel does not compile",
        "The marked place is where the WGSL compiler stopped reading.",
    ),
    (
        "DeviceError",
        "^Kernel ",
        "The kernel cannot be used",
        "The head of devices/webgpu/kernel.py says what the device reads in a kernel's file.",
    ),
    (
        "RuntimeError",
        "backward\\(\\)",
        "The gradients are missing",
        "A step is: loss = model.loss(x, y), model.zero_grad(), loss.backward(), then "
        "clip_grad_norm_ and optimizer.step. Is each there once, in this order?",
    ),
    (
        "RuntimeError",
        "jitted function",
        "A value was read inside a jitted function",
        "Its Python runs once; later only its kernels do. Return the tensor, and read it outside.",
    ),
    (
        "RecursionError",
        "",
        "A function calls itself without end",
        "Among the frames one comes again and again: give it a case in which it does not call "
        "itself.",
    ),
    (
        "MemoryError",
        "",
        "Out of memory",
        "Is something growing each step, a list of tensors perhaps? Keep numbers (loss.item()) "
        "instead, or choose a smaller batch.",
    ),
    (
        "ValueError DeviceError",
        "shape|broadcast|dimension|channels|numbers do not fit|mismatch",
        "These shapes do not fit",
        SHAPES,
    ),
    ("ZeroDivisionError", "", "Division by zero", "Print the divisor, or divide by max(1, ...)."),
    (
        "NonFiniteLoss",
        "",
        "The loss is no longer a number",
        "Look in what you changed for a division by 0, a logarithm of 0, or steps that grow.",
    ),
    (
        "KeyError",
        "",
        "There is no such key",
        "Print list(...) of what stands before the [ ] to see the keys that there are.",
    ),
    (
        "IndexError",
        "",
        "The index is out of range",
        "The first one is 0, and the last one is len(...) - 1.",
    ),
    (
        "AssertionError",
        "",
        "An assertion does not hold",
        "Print what the line compares to see what it is instead.",
    ),
)


# ---- kept short ----------------------------------------------------------------------------------


def _said(error: BaseException) -> str:
    """str(error), whatever its class makes of that."""
    if isinstance(error, SyntaxError):
        return str(error.msg)
    if isinstance(error, ImportError):
        return str(error.msg or "")
    try:
        return str(error)
    except BaseException as other:
        return f"(its message cannot be had: {type(other).__name__})"


def _detail(error: BaseException) -> str:
    """Python's own traceback."""
    depth = sum(1 for _ in traceback.walk_tb(error.__traceback__))
    limit = -DEEP if depth > DEEP else None
    try:
        text = "".join(traceback.TracebackException.from_exception(error, limit=limit).format())
    except BaseException as other:  # of a class whose own methods raise
        text = f"{type(error).__name__}: {_said(error)} (no traceback: {type(other).__name__})"
    return _cut(text.strip(), MAX_DETAIL)


def _cut(text: str, most: int) -> str:
    """A text without its middle, if it is long."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters … {text[-half:]}"
