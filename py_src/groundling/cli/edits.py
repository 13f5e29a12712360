"""Commands under edits of the library, errors in them, and recipes: examples of such edits."""

import argparse
import importlib
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from .. import sources
from ..edits import live, recipes
from ..edits.errors import CodeError, describe
from .inputs import add_command
from .terminal import BadInput, complain


def add_commands(commands: Any) -> None:
    """Add recipes to the parser."""
    about = "List example edits of this library, or show one."
    add = add_command(commands, "recipes", recipes_command, about)
    add("name", metavar="NAME", nargs="?", help="recipe to show as a diff (default: list all)")


def recipes_command(args: argparse.Namespace) -> int:
    """groundling recipes"""
    known = {recipe.name: recipe for recipe in recipes.RECIPES}
    if args.name is None:
        for recipe in known.values():
            print(f"{recipe.name:<18}{recipe.title}")
        return 0
    if args.name not in known:
        raise BadInput(f"Unknown recipe {args.name!r}. Choose from {', '.join(known)}.")
    recipe = known[args.name]
    print(f"{recipe.title}\n", *textwrap.wrap(recipe.text, 100), "", sep="\n")
    print(recipes.diff(recipe), end="")
    return 0


def under_edits(edits: dict[str, str], command: Callable, args: argparse.Namespace) -> int:
    """Run a command with edits in force, and report where they fail. Returns the exit code."""
    try:
        before = live.load(edits)
        try:
            module = importlib.import_module(command.__module__)  # as edited
            return getattr(module, command.__name__)(args)
        finally:
            live.restore(before)
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, BadInput) else None
        if told := error_in_edits(cause or error, edits):
            return _show_code_error(told, getattr(error, "__notes__", ["Nothing was written."]))
        raise


def error_in_edits(error: BaseException, edits: dict[str, str] | None = None) -> CodeError | None:
    """A description of an error that edited code raised; None for any other error."""
    told = describe(error, sources.overlay if edits is None else edits)
    return told if any(frame.yours for frame in told.frames) else None


def _show_code_error(told: CodeError, left: list[str]) -> int:
    """Print the edited lines of an error's traceback, the error, and which files were written."""
    lines = []
    for frame in told.frames:
        if frame.yours:
            within = f", in {frame.name}" if frame.name else ""
            lines.append(f"{frame.path}, line {frame.line}{within}")
            end = frame.end_column if frame.end_line == frame.line else len(frame.text)
            text = frame.text.lstrip()
            start = max(0, frame.column - (len(frame.text) - len(text)))
            lines += [f"    {text}", f"    {' ' * start}{'^' * max(1, end - frame.column)}"]
    lines += [told.message, *textwrap.wrap(told.hint, 100)]
    print(*lines, sep="\n", file=sys.stderr)
    return complain(" ".join([f"{told.title}.", *left]), code=1)
