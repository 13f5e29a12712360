"""Recipes: short worked edits of this very library, each to read as a diff, to try, and to change.

    groundling recipes              what there is
    groundling recipes qk-norm      one of them, as a diff

An edit replaces `old`, which stands in the file exactly once, by `new`; where `old` is empty, the
file is a new one. Tests train every recipe and check that it does what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from .. import sources


@dataclass(frozen=True)
class Edit:
    """One change in one file: `old` becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Recipe:
    """A few changes that make sense together, and two sentences about them."""

    name: str
    title: str
    text: str
    edits: tuple[Edit, ...]


def apply(recipe: Recipe, files: Mapping[str, str]) -> dict[str, str]:
    """A recipe's files after its edits. ValueError if `files` are not as it expects them."""
    changed: dict[str, str] = {}
    for edit in recipe.edits:
        text = changed.get(edit.path, files.get(edit.path, ""))
        if not edit.old:
            if text:
                raise ValueError(f"{recipe.name}: there is a file {edit.path} already.")
            changed[edit.path] = edit.new
        elif text.count(edit.old) == 1:
            changed[edit.path] = text.replace(edit.old, edit.new)
        else:
            first = edit.old.strip().splitlines()[0]
            raise ValueError(
                f"{recipe.name}: {edit.path} was changed where the recipe changes it; "
                f"it should have once, and has not: {first}"
            )
    return changed


def diff(recipe: Recipe) -> str:
    """A recipe as a unified diff against the library's own files."""
    files = {edit.path: sources.original(edit.path) for edit in recipe.edits if edit.old}
    return "".join(
        line
        for path, text in apply(recipe, files).items()
        for line in unified_diff(
            files.get(path, "").splitlines(keepends=True),
            text.splitlines(keepends=True),
            path if path in files else "/dev/null",
            path,
        )
    )


TRAIN, MODEL, OPTIM = (f"py_src/groundling/{name}.py" for name in ("train", "model", "optim"))

CONSTANT_LR = Recipe(
    "constant-lr",
    "Cosine to constant learning rate",
    "After the warm-up the learning rate stays at its peak. Of runs of 1,500 iterations of batch "
    "8, one at the usual peak ended lower so (2.33 instead of 2.42), one at 0.01 higher (2.15 "
    "instead of 2.07), since only a falling rate lets the weights settle.",
    (
        Edit(
            TRAIN,
            """\
    \"""Linear warmup to config.lr over config.warmup iterations, then half a cosine down to
    config.min_lr.
    \"""
""",
            """\
    \"""Linear warmup to config.lr over config.warmup iterations, which then stays.\"""
""",
        ),
        Edit(
            TRAIN,
            """\
    progress = (it - config.warmup) / max(1, config.iters - config.warmup)
    return config.min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (config.lr - config.min_lr)
""",
            """\
    return config.lr
""",
        ),
    ),
)

RELU_SQUARED = Recipe(
    "relu-squared",
    "ReLU² for GELU",
    "The activation that Primer (So et al. 2021) found by search: cut off what is negative, square "
    "the rest. Products of tensors are on the tape like every other operation, so nothing else "
    "needs to be said about gradients.",
    (
        Edit(MODEL, "    gelu,\n", ""),
        Edit(MODEL, "    unembedding,\n", "    relu,\n    unembedding,\n"),
        Edit(
            MODEL,
            """\
        y = gelu(linear(x, self.c_fc))
        return self.dropout(linear(y, self.c_proj))
""",
            """\
        y = relu(linear(x, self.c_fc))
        return self.dropout(linear(y * y, self.c_proj))
""",
        ),
    ),
)

NO_POSITIONS = Recipe(
    "no-positions",
    "No positional embedding",
    "Nothing tells the model where in its context a token stands, but that each sees only those "
    "before it, and it learns as well as before (Haviv et al. 2022). The table stays in the file, "
    "unused, and weight decay wears it away.",
    (
        Edit(MODEL, "    position_embedding,\n", ""),
        Edit(
            MODEL,
            "position_embedding(embedding(tokens, self.wte), self.wpe)",
            "embedding(tokens, self.wte)",
        ),
    ),
)

QK_NORM = Recipe(
    "qk-norm",
    "QK-norm",
    "Every head's queries and keys are divided by their root mean square before they meet, so that "
    "no score can exceed the square root of the head's size (after Henry et al. 2020). It bears "
    "learning rates that are otherwise ruinous: at a peak of 0.2, 600 iterations of batch 8 ended "
    "at a validation loss of 2.49 instead of 2.75.",
    (
        Edit(MODEL, "    unembedding,\n", "    rmsnorm,\n    unembedding,\n"),
        Edit(
            MODEL,
            """\
        return causal_attention(qkv, self.n_head)
""",
            """\
        C = qkv.shape[-1] // 3
        qkv = rmsnorm(qkv, size=C // self.n_head, width=2 * C)  # Q and K, not V
        return causal_attention(qkv, self.n_head)
""",
        ),
    ),
)

DECAY_MATRICES = Recipe(
    "decay-matrices",
    "Weight decay only on matrices",
    "Gains and biases are no longer pulled toward zero; matrices and embeddings still are, as in "
    "nanoGPT. One dispatch for all parameters becomes one for each, with a decay of its own.",
    (
        Edit(
            OPTIM,
            """\
        for own in zip(model.flat_grad, model.flat, self.m, self.v, strict=True):
            model.device.run("adamw", hyper, *own, size=own[0].size, **settings)
""",
            """\
        for name, shape in model.shapes.items():
            settings["weight_decay"] = self.weight_decay if len(shape) == 2 else 0.0
            flats = model.flat_grad, model.flat, self.m, self.v
            own = [model.own(flat, name) for flat in flats]
            model.device.run("adamw", hyper, *own, size=own[0].size, **settings)
""",
        ),
    ),
)

LABEL_SMOOTHING = Recipe(
    "label-smoothing",
    "Label smoothing",
    "A tenth of each target is spread evenly over the vocabulary, so that the model is never asked "
    "to be certain (Szegedy et al. 2016). The validation loss stays the plain one, to compare by; "
    "the training loss now has a floor well above zero.",
    (
        Edit(
            MODEL,
            "    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:\n",
            "    def loss(self, tokens: Tensor, targets: Tensor, smoothing=0.0) -> Tensor:\n",
        ),
        Edit(
            MODEL,
            "        return cross_entropy(self.forward(tokens), targets)\n",
            "        return cross_entropy(self.forward(tokens), targets, smoothing)\n",
        ),
        Edit(
            TRAIN,
            "            loss = model.loss(x, y)\n",
            "            loss = model.loss(x, y, smoothing=0.1)\n",
        ),
    ),
)

PRINT_SAMPLE = Recipe(
    "print-sample",
    "Print a sample every 50 iterations",
    "What the model writes appears in the console as it learns, from random letters to names in "
    "capitals. It draws from a stream of its own, so the run ends with the very same weights.",
    (
        Edit(
            TRAIN,
            "from .runs.run import Run\n",
            "from .runs.run import Run\nfrom .runs.samples import prompt\n"
            "from .runs.writer import generate\n",
        ),
        Edit(
            TRAIN,
            "        lr = learning_rate(it, config)\n",
            r"""        if it % 50 == 0:
            begun = prompt(run.corpus)
            print(f"iter {it}:", generate(run.model, run.corpus, begun, 100, config.seed))
        lr = learning_rate(it, config)
""",
        ),
    ),
)

LOG_GRADIENTS = Recipe(
    "log-gradients",
    "Log gradient norms",
    "Every 50 iterations the console shows how large each parameter's gradient is, after clipping. "
    "Look for layers that learn much faster than others, or not at all.",
    (
        Edit(
            TRAIN,
            "        run.iter += 1\n",
            """\
        if it % 50 == 0:
            for name, parameter in run.model.parameters.items():
                size = math.sqrt((parameter.grad.numpy() ** 2).sum())
                print(f"iter {it}: {name:20} {size:.2e}")
        run.iter += 1
""",
        ),
    ),
)

# The last one is a whole operation: a module, and two kernels.

SILU = '''\
"""SiLU, an operation of your own: two kernels in shaders/, their NumPy references, and the op."""

import numpy as np

from .devices.kernels import kernel
from .engine.tensor import Tensor, record


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), element by element."""
    y = x.device.empty(*x.shape)
    x.device.run("silu_forward", x, y, size=x.size)

    def backward(dy, into):
        dx, accumulate = into(x)
        dy.device.run("silu_backward", x, dy, dx, size=x.size, accumulate=accumulate)

    return record(y, (x,), backward)


# The references: the same buffers in the same order, the same parameters by name.


@kernel
def silu_forward(x, y, *, size):
    y[:] = x / (1 + np.exp(-x))


@kernel
def silu_backward(x, dy, dx, *, size, accumulate):
    s = 1 / (1 + np.exp(-x))
    dx[:] = dy * s * (1 + x * (1 - s)) + (dx if accumulate else 0)
'''

SILU_FORWARD = """\
// y = x sigmoid(x) = x / (1 + exp(-x)).
//   x, y (size)
// grid: size / 64

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  y[i] = x[i] / (1.0 + exp(-x[i]));
}
"""

SILU_BACKWARD = """\
// dx = dy s (1 + x (1 - s)), with s = sigmoid(x) = 1 / (1 + exp(-x)).
//   x, dy, dx (size). Added to what is there where `accumulate` is 1.
// grid: size / 64

struct Params { size: u32, accumulate: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.size) { return; }
  let s = 1.0 / (1.0 + exp(-x[i]));
  var d = dy[i] * s * (1.0 + x[i] * (1.0 - s));
  if (p.accumulate == 1u) { d += dx[i]; }
  dx[i] = d;
}
"""

CUSTOM_KERNEL = Recipe(
    "custom-kernel",
    "A kernel of your own: SiLU",
    "A new operation from nothing: one kernel forward, one backward, a NumPy reference of each to "
    "check it against, and the function that puts them on the tape. It takes GELU's place, as in "
    "Llama; write your own by changing the two formulas in each language.",
    (
        Edit(MODEL, "    gelu,\n", ""),
        Edit(
            MODEL,
            "from .rng import Stream\n",
            "from .rng import Stream\nfrom .silu import silu\n",
        ),
        Edit(MODEL, "gelu(linear(", "silu(linear("),
        Edit("py_src/groundling/silu.py", "", SILU),
        Edit("shaders/silu_forward.wgsl", "", SILU_FORWARD),
        Edit("shaders/silu_backward.wgsl", "", SILU_BACKWARD),
    ),
)

RECIPES = (
    CONSTANT_LR,
    RELU_SQUARED,
    NO_POSITIONS,
    QK_NORM,
    DECAY_MATRICES,
    LABEL_SMOOTHING,
    PRINT_SAMPLE,
    LOG_GRADIENTS,
    CUSTOM_KERNEL,
)
