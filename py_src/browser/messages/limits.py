"""Limits and rules that both the page and Python apply."""

from groundling import sources
from groundling.edits import live, project
from groundling.runs import configfile, texts

LIBRARY = sources.LIBRARY  # the folder of the library's Python, in the project
SHADERS = sources.SHADERS  # and that of its kernels
EDITABLE = live.EDITABLE  # a regular expression of the paths that edits may have
MAX_FILES = live.MAX_FILES  # files in a project
MAX_FILE = project.MAX_FILE  # bytes of UTF-8 in one of them
MAX_NAME = project.MAX_NAME  # characters in the name of a project
MAX_ZIP = project.MAX_ZIP  # bytes of a project's .zip file
MAX_TEXT = texts.MAX_BYTES  # bytes of the reader's own text, all files together
MAX_CONFIG = configfile.MAX_CONFIG  # bytes of a config file
MAX_TALK = 2_000  # characters of a prompt, and of a text that a model writes after it
MAX_SHELF_STATE = 2**27  # bytes of a run's state that the shelf keeps
MAX_SHELF = 200  # runs on it
MAX_SWEEP = 10_000  # iterations of a run of a sweep
MAX_TWIN = 1_000  # iterations of a twin, which is a demonstration
