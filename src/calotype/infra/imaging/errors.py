"""Why a file is refused as a photo. Each message is for the person who sent it, with the limit and the figure."""

from __future__ import annotations

from calotype.std.errors import TooLarge, Unprocessable


class ImageRefused(Unprocessable):
    """Root of what this package raises: catch this one, and nothing of the file has been stored."""

    code = "image_refused"


class ImageEmpty(ImageRefused):
    code = "image_empty"


class ImageFileTooLarge(ImageRefused, TooLarge):
    code = "image_file_too_large"
    status = TooLarge.status


class ImageTooManyPixels(ImageRefused):
    code = "image_too_many_pixels"


class ImageNotRecognised(ImageRefused):
    """The file is of a kind that is not accepted, whatever its name says."""

    code = "image_not_recognised"


class ImageDamaged(ImageRefused):
    """The file begins as an accepted format, and is cut short or cannot be decoded."""

    code = "image_damaged"


class ImageFormatNotInstalled(ImageRefused):
    """The format is accepted, but this server lacks the optional package that decodes it."""

    code = "image_format_not_installed"
