"""prepare: write a text that is larger than memory as tokens."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..data import CHARACTERS, TOKENIZERS
from ..runs import prepared
from .inputs import DEFAULT, add_command, bad_input
from .terminal import itself


def add_commands(commands: Any) -> None:
    """Add prepare to the parser."""
    about = "Write a text of any size as tokens, for `train --data`."
    add = add_command(commands, "prepare", prepare_command, about)
    about = "text files, folders of .txt and .md files, or glob patterns"
    add("text", metavar="TEXT", nargs="+", help=about)
    about = "folder for train.bin, val.bin (uint16, as nanoGPT's) and manifest.json"
    add("--out", metavar="FOLDER", required=True, help=about)
    about = f"how the text becomes tokens: {', '.join(TOKENIZERS)} {DEFAULT}"
    add("--tokenizer", metavar="NAME", choices=TOKENIZERS, default=CHARACTERS, help=about)


def prepare_command(args: argparse.Namespace) -> int:
    """groundling prepare"""
    from tqdm import tqdm  # here, since the page has no tqdm

    out = Path(args.out)
    with bad_input(), tqdm(unit="B", unit_scale=True, file=itself(sys.stderr), disable=None) as bar:
        made = prepared.prepare(args.text, out, args.tokenizer, lambda n: bar.update(n - bar.n))
    train, val = (made[split]["tokens"] for split in prepared.SPLITS)
    print(
        f"{made['name']}: {made['raw_bytes']:,} bytes, {train + val:,} tokens of "
        f"{made['vocab_size']:,} kinds, {train:,} to train on and {val:,} to validate on: "
        f"saved {out}"
    )
    return 0
