from tests.web_fixtures import *  # noqa: F403  the list stands there
