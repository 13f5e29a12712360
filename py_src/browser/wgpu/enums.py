"""Enums: exactly one of their strings is chosen. `QueryType.timestamp` is just "timestamp"."""

from collections.abc import Iterator
from types import MappingProxyType

__all__ = [
    "AutoLayoutMode",
    "BufferBindingType",
    "BufferMapState",
    "CompilationMessageType",
    "DeviceLostReason",
    "ErrorFilter",
    "FeatureName",
    "PipelineErrorReason",
    "PowerPreference",
    "QueryType",
]


class EnumType(type):
    """Lets a class of constants be iterated, indexed by name, and left unchanged."""

    @property
    def __members__(cls) -> MappingProxyType:
        return MappingProxyType({k: v for k, v in vars(cls).items() if not k.startswith("_")})

    def __iter__(cls) -> Iterator[int | str]:
        return iter(cls.__members__.values())

    def __getitem__(cls, name: str) -> int | str:
        return cls.__members__[name]

    def __setattr__(cls, name: str, value: object) -> None:
        raise RuntimeError("Cannot set values on an enum.")

    def __repr__(cls) -> str:
        return f"<wgpu.{cls.__name__} enum with options: {', '.join(cls.__members__)}>"


class BaseEnum(metaclass=EnumType):
    """Base of the enums and the flags: a namespace, never an object."""

    def __init__(self) -> None:
        raise RuntimeError("Cannot instantiate an enum.")


class Enum(BaseEnum):
    """Base of the enums."""


def enum_value(enum: type[Enum], value: str) -> str:
    """`value`, or a KeyError when `enum` has no such string."""
    if value not in enum:
        raise KeyError(f"{enum.__name__}.{value}")
    return value


def _enum(name: str, values: str) -> type[Enum]:
    """An enum of these strings, each under its name: `read_only_storage` for read-only-storage."""
    return EnumType(name, (Enum,), {one.replace("-", "_"): one for one in values.split()})


AutoLayoutMode = _enum("AutoLayoutMode", "auto")
BufferBindingType = _enum("BufferBindingType", "uniform storage read-only-storage")
BufferMapState = _enum("BufferMapState", "unmapped pending mapped")
CompilationMessageType = _enum("CompilationMessageType", "error warning info")
DeviceLostReason = _enum("DeviceLostReason", "unknown destroyed")
ErrorFilter = _enum("ErrorFilter", "validation out-of-memory internal")
PipelineErrorReason = _enum("PipelineErrorReason", "validation internal")
PowerPreference = _enum("PowerPreference", "low-power high-performance")
QueryType = _enum("QueryType", "occlusion timestamp")


class FeatureName(Enum):
    core_features_and_limits = "core-features-and-limits"
    depth_clip_control = "depth-clip-control"
    depth32float_stencil8 = "depth32float-stencil8"
    texture_compression_bc = "texture-compression-bc"
    texture_compression_bc_sliced_d3 = "texture-compression-bc-sliced-3d"
    texture_compression_etc2 = "texture-compression-etc2"
    texture_compression_astc = "texture-compression-astc"
    texture_compression_astc_sliced_d3 = "texture-compression-astc-sliced-3d"
    timestamp_query = "timestamp-query"
    indirect_first_instance = "indirect-first-instance"
    shader_f16 = "shader-f16"
    rg11b10ufloat_renderable = "rg11b10ufloat-renderable"
    bgra8unorm_storage = "bgra8unorm-storage"
    float32_filterable = "float32-filterable"
    float32_blendable = "float32-blendable"
    clip_distances = "clip-distances"
    dual_source_blending = "dual-source-blending"
    subgroups = "subgroups"
    texture_formats_tier1 = "texture-formats-tier1"
    texture_formats_tier2 = "texture-formats-tier2"
    primitive_index = "primitive-index"
    texture_component_swizzle = "texture-component-swizzle"
