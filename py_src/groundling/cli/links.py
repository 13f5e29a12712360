"""link, replay and verify: write a run as a link, and check one by training it again."""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import sources
from ..devices.base import DeviceError
from ..edits import live
from ..labs import link, report
from ..runs import statefile
from ..runs.run import NonFiniteLoss
from .edits import error_in_edits, under_edits
from .inputs import (
    about_file,
    add_command,
    add_device,
    add_text,
    bad_input,
    chosen_device,
    read_corpus,
)
from .terminal import BadInput, Progress, complain, pause_on_interrupt


def add_commands(commands: Any) -> None:
    """Add link, replay and verify to the parser."""
    about = "Print a run as a link: for `replay`, or after # in the page's address."
    add = add_command(commands, "link", link_command, about)
    add("file", metavar="FILE", help="saved run (.state)")

    about = "Train the run in a link again, and compare the results."
    add = add_command(commands, "replay", replay_command, about)
    add("link", metavar="LINK", help="the link, or the part after its #")
    _add_replay(add, "link")

    about = "Train the run in a report again, and compare the results."
    add = add_command(commands, "verify", verify_command, about)
    add("report", metavar="REPORT", help="HTML file of a run or a lesson, made by the page")
    _add_replay(add, "report")


def _add_replay(add: Callable, what: str) -> None:
    """Add the options of training a run again."""
    add("--edits", action="store_true", help=f"run the edited code in the {what}; read it first")
    add_device(add, "train")
    add_text(add, "text that the run was trained on")


def link_command(args: argparse.Namespace) -> int:
    """groundling link"""
    with bad_input(), about_file(args.file):
        print(link.dumps(link.claim(statefile.loads(Path(args.file).read_bytes()))))
    return 0


def verify_command(args: argparse.Namespace) -> int:
    """groundling verify"""
    with bad_input():
        data = Path(args.report).read_bytes()
    try:
        claimed = report.loads(data)
    except report.Differs as error:
        print(error)
        return 1
    except report.ReportError as error:
        raise BadInput(f"{args.report}: {error}") from None
    args.link = link.dumps(claimed)
    if args.device == "auto" and claimed.device.startswith("wasm:") and find_spec("wasmtime"):
        args.device = "wasm"  # the same bits as where it was trained
    return replay_command(args)


def replay_command(args: argparse.Namespace) -> int:
    """groundling replay"""
    with bad_input():
        claimed = link.loads(args.link)
    if claimed.edits and claimed.edits != sources.overlay:
        if args.edits:
            return under_edits(claimed.edits, replay_command, args)
        print(live.diff({}, claimed.edits))
        raise BadInput(
            "the run used the edited code above, which was not executed. Read it, then add --edits "
            "to execute it."
        )
    with bad_input():
        corpus = read_corpus(args.text, claimed.tokenizer)
        replay = link.Replay(claimed, corpus, chosen_device(args))
    config = claimed.config
    print(
        f"The link claims: seed {config.seed!r}, iter {claimed.iter:,} of {config.iters:,}, ",
        end="",
    )
    print(f"validation loss {claimed.val_loss}, on {claimed.device}.")
    if replay.other_code:
        print(f"It was trained with other code, {claimed.code_hash[:12]}….")
    print(f"Training it again on {replay.device}.", flush=True)
    try:
        with pause_on_interrupt(replay.run), Progress(replay.run, sys.stderr) as progress:
            for record, _ in replay.train():
                progress.show(record)
    except (NonFiniteLoss, DeviceError) as error:
        if error_in_edits(error):
            raise
        return complain(error, code=1)
    verdict = replay.verdict()
    print(verdict)
    if replay.run.pausing:
        return 130
    return 1 if verdict.kind == "different" else 0
