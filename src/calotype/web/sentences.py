"""What is said in English only where it is raised, in the language of whoever is looking.

`infra` knows nothing of languages, and while a body arrives nobody has asked for one yet: those errors carry a code, figures,
and a sentence in English. In English that sentence is shown as it is. For every other language there is a translation here
by code, with the same figures where they help a person. All other errors are raised with a translated sentence.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.formats import number_format
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as later

from calotype.std.errors import CalotypeError, Datum

_AWAY = later("Part of the site does not answer at the moment. Try again shortly.")
_GONE = later("There is nothing at this address.")
_FAULT = later("Something went wrong on our side.")

SENTENCES: Mapping[str, str] = {
    "unavailable": _AWAY,
    "server_unavailable": _AWAY,
    "control_unavailable": _AWAY,
    "blobs_unavailable": _AWAY,
    "cache_unavailable": _AWAY,
    "broker_unavailable": _AWAY,
    "cassandra_unavailable": _AWAY,
    "timeline_busy": _AWAY,
    "readers_wait": _AWAY,
    "publication_missing": _AWAY,
    "log_stream_lost": _AWAY,
    "database_unavailable": _AWAY,
    "failures_unavailable": _AWAY,
    "periodic_unavailable": _AWAY,
    "deadline_exceeded": later("This took longer than it may. Try again."),
    "blob_missing": _GONE,
    "absent_shard": _GONE,
    "object_missing": _GONE,
    "job_missing": _GONE,
    "id_invalid": _GONE,
    "too_large": later("This request has %(size)s MB or more; the limit here is %(limit)s MB."),
    "body_too_slow": later("The request did not arrive in time."),
    "format_unsupported": later("This request cannot be understood."),
    "upload_chunk_too_large": later("This request cannot be understood."),
    "upload_chunk_invalid": later("The file was changed on its way, or while it was read. Try again."),
    "upload_offset": later("This was changed meanwhile. Look at it again."),
    "blob_range_invalid": later("This request cannot be understood."),
    "version_conflict": later("This was changed meanwhile. Look at it again."),
    "blob_exists": later("This is stored already."),
    "value_too_large": later("This is too large."),
    "image_refused": later("This photo cannot be used."),
    "image_empty": later("The file is empty."),
    "image_file_too_large": later("The file has %(size)s MB; at most %(max)s MB are accepted."),
    "image_too_many_pixels": later(
        "The picture has %(width)s × %(height)s pixels; that is more than is accepted."
    ),
    "image_not_recognised": later(
        "The file is no photo of a kind that is accepted: JPEG, PNG, WebP, HEIC, AVIF or GIF."
    ),
    "image_damaged": later("The file is damaged or cut short, and cannot be read."),
    "image_format_not_installed": later("This site cannot read photos of this kind."),
}
"""By code. A code of `infra` that is not here is our own fault (status 500)."""


def sentence(error: CalotypeError) -> str:
    """What to tell a person about an error."""
    if (get_language() or "en").startswith("en"):
        return error.message
    if error.code in SENTENCES:
        try:
            return gettext(SENTENCES[error.code]) % _figures(error.data)
        except KeyError:  # raised elsewhere, for another reason and without these figures
            return error.message
    return gettext(_FAULT) if _is_fault_of_the_data_plane(error) else error.message


def _is_fault_of_the_data_plane(error: CalotypeError) -> bool:
    return error.status >= 500 and type(error).__module__.startswith("calotype.infra.")


def _figures(data: Mapping[str, Datum]) -> dict[str, str]:
    """Numbers as the language writes them; sizes in MB."""
    return {
        name.removesuffix("_bytes"): (
            number_format(value / 1e6, 1)
            if name.endswith("_bytes")
            else number_format(value, use_l10n=True, force_grouping=True)
        )
        for name, value in data.items()
        if isinstance(value, int | float)
    }
