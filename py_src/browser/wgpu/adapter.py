"""GPU, GPUAdapter and GPUAdapterInfo: from `navigator.gpu` to a device."""

from collections.abc import Iterable, Mapping

import js
from pyodide.ffi import JsProxy

from .base import ComputeOnly
from .convert import kebab_case, to_js, unsigned
from .device import GPUDevice
from .enums import FeatureName
from .promise import GPUPromise

__all__ = ["GPU", "GPUAdapter", "GPUAdapterInfo", "gpu"]

IMMEDIATES = "immediates"  # a feature in wgpu-py; a browser has no name for it, only its limit


class GPU(ComputeOnly):
    """The entry point: `wgpu.gpu`."""

    # IDL: Promise<GPUAdapter?> requestAdapter(optional GPURequestAdapterOptions options = {});
    def request_adapter_async(
        self,
        *,
        feature_level: str = "core",
        power_preference: str | None = None,
        force_fallback_adapter: bool = False,
        canvas: object = None,
    ) -> GPUPromise["GPUAdapter"]:
        """An adapter; RuntimeError if the browser has no WebGPU, or no adapter to give."""
        navigator_gpu = getattr(js.navigator, "gpu", None)
        if not navigator_gpu:
            raise RuntimeError("Request adapter failed: this browser has no WebGPU.")
        options = to_js(
            {
                "feature_level": feature_level,
                "power_preference": power_preference,
                "force_fallback_adapter": force_fallback_adapter,
            }
        )

        def wrap(internal: JsProxy) -> GPUAdapter:
            if not internal:
                raise RuntimeError("Request adapter failed: the browser offers no GPU adapter.")
            return GPUAdapter(internal, options)

        return GPUPromise("request_adapter", navigator_gpu.requestAdapter(options), wrap)

    def request_adapter_sync(
        self,
        *,
        feature_level: str = "core",
        power_preference: str | None = None,
        force_fallback_adapter: bool = False,
        canvas: object = None,
    ) -> "GPUAdapter":
        """Sync version of `request_adapter_async()`."""
        return self.request_adapter_async(
            feature_level=feature_level,
            power_preference=power_preference,
            force_fallback_adapter=force_fallback_adapter,
        ).sync_wait()

    def enumerate_adapters_async(self) -> GPUPromise[list["GPUAdapter"]]:
        """The one adapter that a browser shows, in a list."""
        adapter = self.request_adapter_async()
        return GPUPromise("enumerate_adapters", adapter, lambda found: [found])

    def enumerate_adapters_sync(self) -> list["GPUAdapter"]:
        """Sync version of `enumerate_adapters_async()`."""
        return self.enumerate_adapters_async().sync_wait()

    # IDL: [SameObject] readonly attribute WGSLLanguageFeatures wgslLanguageFeatures;
    @property
    def wgsl_language_features(self) -> set[str]:
        return set(js.navigator.gpu.wgslLanguageFeatures)


class GPUAdapterInfo(dict):
    """What the browser tells of the adapter, and wgpu-py's `adapter_type` and `backend_type`."""

    def __init__(self, internal: JsProxy) -> None:
        family = f"{internal.vendor} {internal.architecture}".strip()
        super().__init__(
            vendor=internal.vendor,
            architecture=internal.architecture,
            device=internal.device or internal.description or family,
            description=internal.description,
            subgroup_min_size=getattr(internal, "subgroupMinSize", None),
            subgroup_max_size=getattr(internal, "subgroupMaxSize", None),
            adapter_type="CPU" if getattr(internal, "isFallbackAdapter", False) else "Unknown",
            backend_type="WebGPU",
        )

    def __repr__(self) -> str:
        return f"<GPUAdapterInfo dict with {', '.join(f'{k}={v!r}' for k, v in self.items())}>"

    vendor = property(lambda self: self["vendor"])
    architecture = property(lambda self: self["architecture"])
    device = property(lambda self: self["device"])
    description = property(lambda self: self["description"])
    subgroup_min_size = property(lambda self: self["subgroup_min_size"])
    subgroup_max_size = property(lambda self: self["subgroup_max_size"])
    is_fallback_adapter = property(lambda self: self["adapter_type"] == "CPU")


class GPUAdapter:
    """A GPU as the browser offers it: its features, its limits, and the way to a device."""

    def __init__(self, internal: JsProxy, options: JsProxy) -> None:
        self._internal = internal
        self._options = options
        self._used = False
        self.info = GPUAdapterInfo(internal.info)
        self.limits = limits_of(internal)  # by names such as "max-buffer-size"
        self.features = set(internal.features)  # by name
        if self.limits.get("max-immediate-size"):
            self.features.add(IMMEDIATES)

    @property
    def summary(self) -> str:
        """One line: device, type and backend."""
        return f"{self.info.device} ({self.info['adapter_type']}) via WebGPU"

    # IDL: Promise<GPUDevice> requestDevice(optional GPUDeviceDescriptor descriptor = {});
    def request_device_async(
        self,
        *,
        label: str = "",
        required_features: Iterable[str] = (),
        required_limits: Mapping[str, int | None] | None = None,
        default_queue: dict | None = None,
    ) -> GPUPromise[GPUDevice]:
        """A device with these features and, where `required_limits` does not say, all the limits.

        Both may be named max-buffer-size, max_buffer_size or maxBufferSize. KeyError for names
        that do not exist, RuntimeError for what the adapter has not.
        """
        assert isinstance(required_features, tuple | list | set), "required_features is a list"
        if not all(isinstance(feature, str) for feature in required_features):
            raise TypeError("Features must be given as str.")
        features = {kebab_case(feature) for feature in required_features}
        for feature in features:
            if feature not in FeatureName and feature not in self.features:
                raise KeyError(f"Unknown feature: '{feature}'")
        own = features & self.features & {IMMEDIATES}
        limits = dict(self.limits)
        for name, value in (required_limits or {}).items():
            if kebab_case(name) not in limits:
                raise KeyError(f"Unknown limit name '{name}'")
            if value is not None:
                limits[kebab_case(name)] = unsigned(value)
        names = {kebab_case(name): name for name in limit_names(self._internal)}
        descriptor = to_js({"label": label, "required_features": sorted(features - own)})
        descriptor.requiredLimits = to_js({names[k]: v for k, v in limits.items()})
        source = self._unused().then(lambda adapter: adapter.requestDevice(descriptor))

        def wrap(internal: JsProxy) -> GPUDevice:
            has = set(internal.features) | own
            return GPUDevice(label, internal, self, has, limits_of(internal))

        return GPUPromise("request_device", source, wrap)

    def request_device_sync(
        self,
        *,
        label: str = "",
        required_features: Iterable[str] = (),
        required_limits: Mapping[str, int | None] | None = None,
        default_queue: dict | None = None,
    ) -> GPUDevice:
        """Sync version of `request_device_async()`."""
        return self.request_device_async(
            label=label, required_features=required_features, required_limits=required_limits
        ).sync_wait()

    def _unused(self) -> JsProxy:
        """A promise of a JavaScript adapter that made no device yet: each may make only one."""
        if self._used:
            return js.navigator.gpu.requestAdapter(self._options)
        self._used = True
        return js.Promise.resolve(self._internal)


def limit_names(internal: JsProxy) -> list[str]:
    """The JavaScript names of the limits of an adapter or a device."""
    return [name for name in dir(internal.limits) if name.startswith(("max", "min"))]


def limits_of(internal: JsProxy) -> dict[str, int]:
    names = limit_names(internal)
    return {kebab_case(name): getattr(internal.limits, name) for name in sorted(names)}


gpu = GPU()
