from tests.web_fixtures import (
    ann,
    ann_cached,
    bob,
    browser,
    cached_handler,
    cached_web_site,
    handler,
    new_person,
    one_window,
    web_site,
)

__all__ = [
    "ann",
    "ann_cached",
    "bob",
    "browser",
    "cached_handler",
    "cached_web_site",
    "handler",
    "new_person",
    "one_window",
    "web_site",
]
