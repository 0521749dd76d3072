"""Photos from strangers: what a file is, whether it is accepted, and its public variants.

`inspect` reads a header; `process` makes everything. Both raise `ImageRefused` and are safe in threads.
"""

from calotype.infra.imaging.decoding import DEFAULT_LIMITS, accept_size
from calotype.infra.imaging.errors import (
    ImageDamaged,
    ImageEmpty,
    ImageFileTooLarge,
    ImageFormatNotInstalled,
    ImageNotRecognised,
    ImageRefused,
    ImageTooManyPixels,
)
from calotype.infra.imaging.process import DEFAULT_RECIPE, inspect, process
from calotype.infra.imaging.types import (
    Camera,
    Inspection,
    Limits,
    Processed,
    Recipe,
    SourceFormat,
    Variant,
    VariantFormat,
)

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_RECIPE",
    "Camera",
    "ImageDamaged",
    "ImageEmpty",
    "ImageFileTooLarge",
    "ImageFormatNotInstalled",
    "ImageNotRecognised",
    "ImageRefused",
    "ImageTooManyPixels",
    "Inspection",
    "Limits",
    "Processed",
    "Recipe",
    "SourceFormat",
    "Variant",
    "VariantFormat",
    "accept_size",
    "inspect",
    "process",
]
