from tests.web_fixtures import ann, bob, browser, handler, new_person, one_window, web_site

__all__ = ["ann", "bob", "browser", "handler", "new_person", "one_window", "web_site"]
