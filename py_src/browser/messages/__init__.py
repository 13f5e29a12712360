"""Every message between the page and the worker. Messages are dictionaries; each has a type here.

A Command goes from the page to the worker, a Report from the worker to the page. The name of its
class, without that word and in snake case, is the "type" of a message: TwinFileCommand is
"twin_file". Whenever the page is built, site/protocol.py makes site/src/base/protocol.ts of
these modules, with their docstrings and comments.
"""
