"""Times training on each device of this machine: `python build.py bench`."""

from groundling.data import shakespeare
from groundling.devices.base import DeviceError
from groundling.devices.open import open_device
from groundling.labs import bench


def main() -> None:
    """Prints a table for each batch size on each device, and what other sizes cost."""
    corpus = shakespeare()
    print(bench.machine())
    for name in ("numpy", "wasm", "webgpu", "torch"):
        try:
            device = open_device(name)
        except DeviceError as error:
            print(f"{name}: {error}")
            continue
        best = bench.ceilings(device)
        for batch_size in (16, 32):
            print(bench.table(bench.measure(device, corpus, batch_size), best), flush=True)
        print(bench.size_table(bench.by_size(device, corpus), best), flush=True)


if __name__ == "__main__":
    main()
