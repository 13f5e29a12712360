"""nanoGPT's model, for what loads into it."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """A block as in nanoGPT's model.py, with the tanh form of GELU."""

    def __init__(self, n_embd: int, n_head: int):
        super().__init__()
        self.n_head = n_head
        self.ln_1 = nn.LayerNorm(n_embd)  # in nanoGPT's order, which is that of the parameters
        self.attn = nn.Module()
        self.attn.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.attn.c_proj = nn.Linear(n_embd, n_embd)
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = nn.Module()
        self.mlp.c_fc = nn.Linear(n_embd, 4 * n_embd)
        self.mlp.c_proj = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x, gelu):
        B, T, C = x.shape
        qkv = self.attn.c_attn(self.ln_1(x)).split(C, dim=2)
        heads = [part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for part in qkv]
        y = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp.c_proj(functional.gelu(self.mlp.c_fc(self.ln_2(x)), approximate=gelu))


class NanoGPT(nn.Module):
    """nanoGPT's modules by nanoGPT's names, so that its state_dict loads strictly."""

    def __init__(self, n_layer, n_head, n_embd, block_size, vocab_size, dropout, bias):
        super().__init__()
        assert bias and not dropout
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab_size, n_embd),
                "wpe": nn.Embedding(block_size, n_embd),
                "h": nn.ModuleList([Block(n_embd, n_head) for _ in range(n_layer)]),
                "ln_f": nn.LayerNorm(n_embd),
            }
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, tokens, gelu="tanh"):
        x = self.transformer.wte(tokens) + self.transformer.wpe(torch.arange(tokens.shape[1]))
        for block in self.transformer.h:
            x = block(x, gelu)
        return self.lm_head(self.transformer.ln_f(x))
