"""Times a training step of the default model on each device here: `python build.py bench`.

The script is for this machine; `bench_step` is the same inside Pyodide (tests/browser/bench.py).
"""

from groundling.bench import measure
from groundling.corpus import shakespeare
from groundling.devices import DeviceError, open_device


def bench_step() -> None:
    """Prints the devices of this host, and a line for each batch size on each of them."""
    for name in ("numpy", "webgpu"):
        try:
            device = open_device(name)
        except DeviceError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {device.description}")
        for batch_size in (16, 32):
            m = measure(device, shakespeare(), batch_size)
            print(
                f"  batch {batch_size:2}: {1000 * m['step']:7.1f} ms a step,"
                f" {m['tokens_per_second']:7,.0f} tokens/s; host {1000 * m['host']:6.2f} ms;"
                f" {m['dispatches']:g} dispatches, {m['submits']:g} submits",
                flush=True,
            )


if __name__ == "__main__":
    bench_step()
