"""Every message between the page and the worker. Messages are dictionaries; each has a type here.

A Command goes from the page to the worker, a Report from the worker to the page. One without fields
of its own is another name of its base. A dataclass of the library stands for the dictionary of its
fields. Whenever the page is built, site/protocol.py makes site/src/base/protocol.ts of these
modules, with their docstrings and comments.
"""

import re


def type_of(name: str) -> tuple[str, str]:
    """The "type" of the messages of a class, and which kind they are: of TwinFileCommand
    "twin_file" and "Command". Both are "" for the name of any other class.
    """
    found = re.fullmatch("(.+)(Command|Report)", name)
    return (re.sub("(?<!^)(?=[A-Z])", "_", found[1]).lower(), found[2]) if found else ("", "")
