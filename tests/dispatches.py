"""What each dispatch of a training step asks of a GPU, in its plain form and in those for GPUs:
`python tests/dispatches.py [batch size]`. Any adapter will do, as nothing is timed.

Invocations and operations are counted from the captured step. Accesses are counted by the adapter:
each load from and store to a tensor, of one number or of four, wherever a cache may have it. The
time is the longest of three that a GPU of the size below would need at best: for the operations,
for the accesses, and for the tensors' bytes; the last column says which. Lanes without an
invocation are idle. What it leaves out is the wait for each access, which a GPU hides the better
the more invocations it has.

What the 60 dispatches are for, and how some could go. A GPU takes 2 to 10 us to begin one.

    1   gather_batch: could be embedding_position's, which would read the text by offsets
    1   embedding_position
    20  forward, 5 a layer: layernorm_matmul (c_attn), attention, matmul_residual (c_proj),
        layernorm_matmul_gelu, matmul_residual. A workgroup that had all heads of some rows could do
        attention and c_proj at once: 4 fewer
    4   layernorm and matmul_nt (logits), cross_entropy, mean. The first two could be one, as in a
        layer; cross_entropy could give its gradient too, as the loss's own is known: 2 fewer. mean
        could share the dispatch of cross_entropy_backward: 1 fewer
    1   cross_entropy_backward
    1   the unembedding's gradients, matmul_nn + matmul_tn
    28  backward, 7 a layer: four products by input and by weight, side by side; attention_backward;
        layernorm_backward and its params, side by side, twice. Where a row fits a tile, the product
        before could go on through the layernorm: 8 fewer
    1   the last layernorm's, also side by side
    1   position_embedding_backward + embedding_backward
    2   sum_squares, clip_adamw: the norm of all gradients is needed before the first update

All of that together would be 44. Each is one more kernel, with a reference and one for every other
device, and the largest are as long as the two that they replace: so none is done.

Where a GPU splits the sums of 9 weight gradients, position_embedding_backward adds the parts up: 4
times beside attention_backward, and in 5 dispatches more.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from groundling.config import TrainConfig
from groundling.data import shakespeare
from groundling.devices.open import open_device
from groundling.devices.webgpu import attention, tiles, wgsl
from groundling.devices.webgpu.device import WebGPUDevice
from groundling.devices.webgpu.kernel import Kernel
from groundling.engine.fuse import JOINED, split
from groundling.engine.plan import Command, Plan
from groundling.labs.bench import flops
from groundling.runs.run import Run
from groundling.train import train

LANES, CLOCK, BANDWIDTH = 1024, 1.3e9, 70e9  # a laptop's GPU: 2.7 TFLOP/s, and bytes per second
PACE = 4  # cycles of a lane from one access to the next
TEMPLATES = tiles, attention
STORAGE = r"var<storage, \w+> (\w+): array<(\w+)>"
COUNTING = """
@group(0) @binding({}) var<storage, read_write> accesses: atomic<u32>;

var<private> own: u32;

fn counted(index: u32) -> u32 {{
  own += 1u;
  return index;
}}

@group(0) @binding({}) var<uniform>"""
COUNTED = """@compute @workgroup_size({})
fn main({}) {{
  counted_main({});
  atomicAdd(&accesses, own);
}}

fn counted_main({}) {{"""


def counting(device: WebGPUDevice, kernel: Kernel) -> Kernel:
    """The kernel with one more buffer, of one number, to which it adds its accesses."""
    names = {name for name, _ in re.findall(STORAGE, kernel.code)}
    code, open_ = "", []
    for part in re.split(r"((?<![\w.])[A-Za-z_]\w*\[|\[|\])", wgsl.without_comments(kernel.code)):
        if part.endswith("["):
            open_.append(part[:-1] in names)
            part += "counted(u32(" * open_[-1]
        elif part == "]":
            part = "))" * open_.pop() + part
        code += part
    n = kernel.n_buffers
    shape, arguments = re.search(wgsl.MAIN, code).groups()
    plain = re.sub(r"@builtin\(\w+\) *", "", arguments)
    values = ", ".join(re.findall(r"(\w+) *:", plain))
    code = re.sub(wgsl.MAIN, COUNTED.format(shape, arguments, values, plain), code)
    code = code.replace(f"@group(0) @binding({n}) var<uniform>", COUNTING.format(n, n + 1))
    return Kernel(device.wgpu, kernel.name, f"// grid: {','.join(kernel.grid)}\n{code}")


def captured(device: WebGPUDevice, batch_size: int, splits: bool) -> Plan:
    """A training step of the default model, without a trial of forms before it."""
    device.products.is_emulated = not splits
    for family, choice in zip(TEMPLATES, (device.products, device.attention), strict=True):
        choice.choose(family.PLAIN)
    config = TrainConfig(batch_size=batch_size, eval_interval=10**6, eval_batches=1)
    run = Run(config, shakespeare(), device)
    training = train(run)
    next(training)
    run.pause()
    for _ in training:
        pass
    return device.replayed


def forms(device: WebGPUDevice, name: str, params: dict) -> Iterator[tuple[str, Kernel]]:
    """A kernel in the plain form, and in those with shared memory; a split sum in that alone."""
    if "split" not in params:
        yield "", device.kernel(name)
    for family, choice in zip(TEMPLATES, (device.products, device.attention), strict=True):
        if name in family.KERNELS:
            shared = family.FORMS[family.FORMS.index(family.SHARED) :]
            for form in dict.fromkeys(family.variant(one, name, params) for one in shared):
                yield form, choice.form(name, form)


def row(device: WebGPUDevice, kernel: Kernel, command: Command) -> dict:
    """What a kernel asks of a GPU in a command's place."""
    other = counting(device, kernel)
    total = device.tensor(np.zeros(1, np.uint32))
    uniform = device._uniform(other.pack(command.params))
    pipeline, group, *grid = other.prepare([*command.tensors, total], uniform, command.params)
    device._execute((pipeline, group, *device._fold(kernel.name, grid)))
    shape = re.search(r"@workgroup_size\(([\d, ]+)\)", kernel.code)[1]
    invocations = math.prod(grid) * math.prod(map(int, shape.split(",")))
    found = dict(invocations=invocations, accesses=int(total.numpy()[0]), flops=flops(command))
    wide = 16 if "array<vec4f>" in kernel.code else 4
    tensors = 4 * sum(tensor.size for tensor in command.tensors)
    found["bytes"] = min(tensors, wide * found["accesses"])  # of a corpus only a part is read
    per_second = min(invocations, LANES) * CLOCK
    needs = {
        "operations": found["flops"] / per_second / 2,
        "accesses": found["accesses"] / per_second * PACE,
        "bytes": found["bytes"] / BANDWIDTH,
    }
    binds = max(needs, key=needs.get)
    return found | {"seconds": needs[binds], "binds": binds}


def parts(device: WebGPUDevice, command: Command) -> Iterator[Command]:
    """A command's kernels, if it is of several side by side."""
    if JOINED not in command.kernel:
        yield command
        return
    count = lambda name: device.kernel(name).n_buffers  # noqa: E731
    for name, tensors, params in split(command.kernel, command.tensors, command.params, count):
        yield Command(name, tuple(tensors), params)


def main(batch_size: int = 32) -> None:
    """Print the table, with kernels that share a dispatch apart."""
    device = open_device("webgpu")
    plans = [captured(device, batch_size, splits) for splits in (False, True)]
    same = Counter(), Counter()
    first = {}
    for plan, counter in zip(plans, same, strict=True):
        for command in (part for whole in plan.commands for part in parts(device, whole)):
            key = command.kernel, tuple(sorted(command.params.items()))
            counter[key] += 1
            first.setdefault(key, command)
    dispatches = [len(plan.commands) for plan in plans]
    print(
        f"A step at batch {batch_size}: {dispatches[0]} dispatches, or {dispatches[1]} where sums "
        f"are split. A GPU of {LANES:,}\nlanes at {CLOCK / 1e9} GHz "
        f"({2 * LANES * CLOCK / 1e12:.1f} TFLOP/s) and {BANDWIDTH / 1e9:g} GB/s, with an access of "
        f"a lane every {PACE} cycles, all\nfrom caches, would take at best:\n"
        f"{'':>3} {'kernel':28}{'form':>23}{'invocations':>12}{'accesses':>12}{'MB':>7}"
        f"{'MFLOP':>8}{'us':>8}  bound by"
    )
    totals: Counter[tuple[str, str]] = Counter()
    for key in sorted(first, key=lambda key: key[0]):
        command, rows = first[key], []
        for form, kernel in forms(device, command.kernel, command.params):
            times = same[1][key] if form else max(same[0][key], same[1][key])
            if not times:  # its sum is split
                continue
            found = row(device, kernel, command)
            rows.append(found)
            print(
                f"{times:3} {command.kernel:28}{form:>23}{found['invocations']:12,}"
                f"{found['accesses']:12,}{found['bytes'] / 1e6:7.2f}{found['flops'] / 1e6:8.1f}"
                f"{1e6 * found['seconds']:8.1f}  {found['binds']}",
                flush=True,
            )
        best = min(rows, key=lambda found: found["seconds"])
        totals["as written", rows[0]["binds"]] += same[0][key] * rows[0]["seconds"]
        totals["in their best forms", best["binds"]] += same[1][key] * best["seconds"]
    for how in dict.fromkeys(how for how, _ in totals):
        by = {binds: seconds for (one, binds), seconds in totals.items() if one == how}
        told = ", ".join(f"{1e3 * seconds:.2f} by {binds}" for binds, seconds in by.items())
        print(f"{1e3 * sum(by.values()):.2f} ms of kernels {how}: {told}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
