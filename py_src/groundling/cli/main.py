"""The command line: parses the arguments and runs a command. See `groundling --help`."""

import argparse
import os
import sys
from contextlib import suppress
from typing import NoReturn

from .. import __version__
from ..data import cache
from ..devices.webgpu import memory
from . import compares, data, edits, files, labs, links, terminal, train
from .terminal import BadInput, complain

EPILOG = """\
Training that reaches its last iteration saves the weights (.bin). With --state, --config or
--checkpoint-interval it also saves the run (.state) every checkpoint_interval iterations; without
--state that file is named by seed and iteration, and only the newest is kept. Ctrl-C stops training
after the current iteration and saves what was learned, and so do SIGTERM and a closed terminal; a
second Ctrl-C stops at once.

exit status:
  0    success
  1    training or edited code failed, the doctor found a problem, the twins differ, a replay
       does not match its link or report, or no run of a sweep ended
  2    invalid input
  130  interrupted by Ctrl-C, SIGTERM or a closed terminal

`groundling COMMAND --help` shows the options of a command."""


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns its exit code."""
    with terminal.never_closed(), terminal.first_rank_prints():
        return _main(argv)


def _main(argv: list[str] | None) -> int:
    args = _parser().parse_args(argv)
    with suppress(FileNotFoundError):  # no cache folder: nothing is remembered
        memory.store = memory.File(cache() / "adapters.json")
    with terminal.shown():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        return args.command(args)
    except BadInput as error:
        return complain(error, code=2)
    except KeyboardInterrupt:
        return complain("interrupted.", code=130)
    except OSError as error:  # in writing: a full disk, or `groundling inspect FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again
        if isinstance(error, BrokenPipeError):
            return 1
        return complain(f"{error.filename or 'standard output'}: {error.strerror}.", code=1)


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        told = f"{self.prog}: {message}. See {self.prog} --help."
        self.exit(2, f"{terminal.visible(told)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="groundling",
        description="Train, sample and inspect small GPTs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"groundling {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for family in (train, data, files, labs, compares, links, edits):
        family.add_commands(commands)
    return parser
