"""What an object has, read without calling any of its code."""

from contextlib import suppress

MRO, DICT = (vars(type)[name].__get__ for name in ("__mro__", "__dict__"))


def attributes(value: object) -> dict[str, object]:
    """The attributes of an object and its classes, by name, read without calling their code."""
    is_class = issubclass(type(value), type)
    kinds = MRO(value if is_class else type(value))
    found = {name: item for kind in reversed(kinds) for name, item in DICT(kind).items()}
    if not is_class and not isinstance(found.get("__dict__"), property):
        with suppress(AttributeError, TypeError):  # it may have slots instead, or nothing
            found |= object.__getattribute__(value, "__dict__")
    return found
