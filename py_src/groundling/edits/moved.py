"""Where the library's files were in earlier versions, for edits that were made of those.

The edit of a file that has moved, in a project or a link, becomes one of where the file is now.
What its text still expects of the earlier version fails when it is put in force, and is told then.
"""

from ..sources import LIBRARY

MOVED = {
    f"{LIBRARY}{old}.py": f"{LIBRARY}{folder}{new or old}.py"
    for folder, names in {
        "": "corpus>data",
        "cli/": "cli>main output terminal",
        "devices/": "devices/__init__>base devices/helper>threads devices/originals>unedited "
        "devices/stands>fused limits",
        "devices/wasm/": "devices/wasm/pair>cores",
        "devices/webgpu/": "devices/memory>memory devices/tiles>tiles devices/trial>trial "
        "devices/webgpu>device devices/webgpu/choice>autotune devices/webgpu/heads>attention "
        "devices/webgpu/ring>readback devices/wgsl>wgsl",
        "edits/": "errors project recipes",
        "engine/": "engine/recent>lru fuse jit ops recent>lru tensor",
        "labs/": "bench curve doctor entropy labs/counting>bigram labs/evidence>textstats lens "
        "link parity twin",
        "runs/": "checkpoint configfile decoding inspector interchange presets records samples "
        "state>statefile strict texts",
    }.items()
    for old, _, new in (name.partition(">") for name in names.split())
}
"""Each file's path then, and now."""


def carried(files: object) -> object:
    """Edits by where their files are now; what are none, as it is."""
    if not isinstance(files, dict):
        return files
    return {MOVED.get(path, path): text for path, text in files.items()}
