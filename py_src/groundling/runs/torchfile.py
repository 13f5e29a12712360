"""A file that torch.load reads, written without PyTorch.

    dumps({"model": {"wte": array}, "iter_num": 100})

It is a zip, each entry stored as it is: data.pkl, whose pickle makes dictionaries, lists, tuples,
plain values and tensors and nothing else, so that torch.load(weights_only=True) takes it; and
data/N, the numbers of the N-th array. An array that occurs twice is stored once: its tensors share
their memory, as those of tied weights do.
"""

import io
import struct
import zipfile

import numpy as np

ARCHIVE = "archive"
VERSION = b"3\n"  # of torch.save's format
STORAGE = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
NO_HOOKS = b"ccollections\nOrderedDict\n)R"


def dumps(value: object) -> bytes:
    """The bytes of the file. Arrays become float32 tensors. TypeError for what it cannot hold."""
    arrays: dict[int, tuple[int, np.ndarray]] = {}
    pickled = b"\x80\x02" + _pickled(value, arrays) + b"."
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(f"{ARCHIVE}/data.pkl", pickled)
        packed.writestr(f"{ARCHIVE}/byteorder", b"little")
        for key, array in arrays.values():
            packed.writestr(f"{ARCHIVE}/data/{key}", array.astype("<f4", order="C").tobytes())
        packed.writestr(f"{ARCHIVE}/version", VERSION)
    return out.getvalue()


def _pickled(value: object, arrays: dict[int, tuple[int, np.ndarray]]) -> bytes:
    """A value in protocol 2 of pickle, without its PROTO and STOP."""

    def each(values: object) -> bytes:
        return b"".join(_pickled(one, arrays) for one in values)

    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(raw)]) + raw
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(raw)) + raw
        case tuple():
            return b"(" + each(value) + b"t"
        case list():
            return b"](" + each(value) + b"e"
        case dict():
            return b"}(" + each(one for pair in value.items() for one in pair) + b"u"
        case np.ndarray():
            key, _ = arrays.setdefault(id(value), (len(arrays), value))
            strides = tuple(int(np.prod(value.shape[i + 1 :])) for i in range(value.ndim))
            where = each(["storage"]) + STORAGE + each([str(key), "cpu", value.size])
            storage = b"(" + where + b"tQ"
            about = each([0, value.shape, strides, False])
            return REBUILD + b"(" + storage + about + NO_HOOKS + b"tR"
    raise TypeError(f"A {type(value).__name__} has no place in such a file.")
