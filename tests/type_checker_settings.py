"""Django's settings for the type checker, which reads them but has no site: one that exists only for its length."""

import os
import tempfile
from pathlib import Path

from calotype.config.site import Site, save

_data = tempfile.TemporaryDirectory()
save(
    Path(_data.name),
    Site(secret_key="types", servers={"pg-1": ""}, databases={"default": "", "sessions": ""}),
)
os.environ["CALOTYPE_DATA"] = _data.name

from calotype.config.settings import *  # noqa: E402, F403
