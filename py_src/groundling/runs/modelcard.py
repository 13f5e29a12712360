"""The README.md of a Hugging Face folder: what the model is, and how it is used."""

from ..data import BYTES, Vocabulary
from .checkpoint import Checkpoint
from .samples import beginning

USE = """
    from transformers import pipeline
    write = pipeline("text-generation", "FOLDER")
    print(write({prompt!r})[0]["generated_text"])
"""
NO_TOKENIZER = """
It has no tokenizer, as its characters are not all ASCII: token N is the N-th of them by code point.
"""


def card(ckpt: Checkpoint, vocabulary: Vocabulary, has_tokenizer: bool) -> str:
    """The model card, Markdown with a head of YAML."""
    config, T = ckpt.config, ckpt.config.block_size
    is_bytes = vocabulary.tokenizer == BYTES
    tokens = "the 256 bytes" if is_bytes else f"{vocabulary.vocab_size:,} characters"
    told = f"Trained with Groundling for {ckpt.iter:,} iterations, from the seed {ckpt.seed!a}."
    if ckpt.val_loss is not None:
        told += f"\nIts validation loss is {ckpt.val_loss:.4f} nats a token."
    use = USE.format(prompt=beginning(vocabulary)) if has_tokenizer else NO_TOKENIZER
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---

# A GPT of {len(ckpt.weights):,} parameters

{told}
It reads and writes {tokens}, one a token, and sees {T:,} of them at most, prompt included.
The architecture is GPT-2's, with biases of 0 in the linear layers: {config.n_layer} layers,
{config.n_head} heads, {config.n_embd} channels, {config.d_ff} in each MLP.
{use}
It knows nothing but the text that it was trained on; do not rely on what it writes.
"""
