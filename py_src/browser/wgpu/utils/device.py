"""The default device: one for all of a program's parts that do not need their own."""

import logging
from typing import Any

from ..adapter import GPUAdapter, gpu
from ..device import GPUDevice
from ..enums import Enum, FeatureName, PowerPreference

__all__ = ["get_default_device", "preconfigure_default_device"]

logger = logging.getLogger("wgpu")

OF_THE_ADAPTER: dict[str, tuple[type, type[Enum] | tuple | None]] = {
    "feature_level": (str, ("core", "compatibility")),
    "power_preference": (str, PowerPreference),
    "force_fallback_adapter": (bool, None),
    "canvas": (object, None),
    "adapter": (GPUAdapter, None),
}
OF_THE_DEVICE: dict[str, tuple[type, type[Enum] | tuple | None]] = {
    "label": (str, None),
    "preferred_features": (set, None),
    "required_features": (set, FeatureName),
    "required_limits": (dict, None),
}


class DefaultDeviceHelper:
    """Gathers what the parts of a program ask of the device, and makes it when it is needed."""

    def __init__(self) -> None:
        self._adapter_kwargs: dict[str, Any] = {}
        self._device_kwargs: dict[str, Any] = {}
        self._callers: dict[str, str] = {}  # an argument, and who set it last
        self._the_device: GPUDevice | None = None

    def preconfigure_default_device(
        self,
        caller_info: str,
        *,
        feature_level: str | None = None,
        power_preference: str | None = None,
        force_fallback_adapter: bool | None = None,
        canvas: object = None,
        adapter: GPUAdapter | None = None,
        label: str | None = None,
        preferred_features: set[str] | None = None,
        required_features: set[str] | None = None,
        required_limits: dict[str, int | None] | None = None,
    ) -> None:
        """Say what the default device shall have, before it is made; RuntimeError after that.

        Features of all calls are united ("!name" takes one away again), of limits the lowest is
        taken (None takes one away), of the rest the last, with a warning. `caller_info` says in
        these who asked. TypeError and ValueError for what no device can have.
        """
        given = {name: one for name, one in locals().items() if name not in ("self", "caller_info")}
        if not isinstance(caller_info, str):
            kind = type(caller_info).__name__
            raise TypeError(f"preconfigure_default_device caller_info must be str, not {kind}")
        who = f"preconfigure_default_device ({caller_info})"
        if self._the_device is not None:
            raise RuntimeError(f"{who}: the default device cannot be configured after it is made.")
        for name, value in given.items():
            if value is None:
                continue
            value = set(value) if isinstance(value, tuple | list) else value
            ours = name in OF_THE_ADAPTER
            kind, allowed = (OF_THE_ADAPTER if ours else OF_THE_DEVICE)[name]
            check(who, name, value, kind, allowed)
            kwargs = self._adapter_kwargs if ours else self._device_kwargs
            warning = MERGES.get(kind, replace)(kwargs, name, value)
            if warning:
                by = f" by {self._callers[name]!r}" if kind not in MERGES else ""
                logger.warning(f"{who}: {name} set to {value!r} {warning}{by}.")
            self._callers[name] = caller_info
            if ours:
                self._prefer_the_adapter(who, name)

    def _prefer_the_adapter(self, who: str, name: str) -> None:
        """An adapter that is given leaves nothing to choose it by."""
        if "adapter" not in self._adapter_kwargs:
            return
        for other in self._adapter_kwargs.keys() - {"adapter"}:
            value = self._adapter_kwargs.pop(other)
            if name == "adapter":
                by = self._callers[other]
                logger.warning(f"{who}: setting adapter overrides {other}={value!r} set by {by!r}.")
            else:
                by = self._callers["adapter"]
                logger.warning(
                    f"{who}: setting {other} is ignored because adapter is set by {by!r}."
                )

    def get_default_device(self) -> GPUDevice:
        """The default device, made by the first call."""
        if self._the_device is None:
            kwargs = dict(self._device_kwargs)
            adapter = self._adapter_kwargs.get("adapter")
            adapter = adapter or gpu.request_adapter_sync(**self._adapter_kwargs)
            extra = kwargs.pop("preferred_features", set()) & adapter.features
            kwargs["required_features"] = kwargs.get("required_features", set()) | extra
            self._the_device = adapter.request_device_sync(**kwargs)
            self._adapter_kwargs.clear()
            self._device_kwargs.clear()
        return self._the_device


def check(who: str, name: str, value: Any, kind: type, allowed: Any) -> None:
    """TypeError or ValueError where the value is not of that kind, or not among what is allowed."""
    if not isinstance(value, kind):
        got = type(value).__name__
        raise TypeError(f"{who}: {name} must be a {kind.__name__}, but got {got}.")
    for one in value if isinstance(value, set) else [value]:
        if allowed is not None and one.lstrip("!") not in allowed:
            raise ValueError(f"{who}: {name} must be one of {list(allowed)}, but got {one!r}.")


def replace(kwargs: dict, name: str, value: Any) -> str:
    old, kwargs[name] = kwargs.get(name), value
    return f"overrides earlier set {old!r}" if old not in (None, value) else ""


def unite(kwargs: dict, name: str, names: set[str]) -> str:
    off = {plain(one[1:]) for one in names if one.startswith("!")}
    on = {plain(one) for one in names if not one.startswith("!")}
    old = kwargs.get(name, set())
    kwargs[name] = (old - off) | on
    return f"removes earlier set {old & off!r} from the set" if old & off else ""


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def lower(kwargs: dict, name: str, limits: dict[str, int | None]) -> str:
    old = kwargs.setdefault(name, {})
    off = {key for key, value in limits.items() if value is None}
    for key, value in limits.items():
        if value is None:
            old.pop(key, None)
        else:
            old[key] = min(value, old.get(key, value))
    return f"removes earlier set {off!r} from the dict" if off else ""


MERGES = {set: unite, dict: lower}

_helper = DefaultDeviceHelper()
preconfigure_default_device = _helper.preconfigure_default_device
get_default_device = _helper.get_default_device
