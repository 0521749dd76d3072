"""What every page and endpoint shares: the lean handler, sessions, errors, paging, templates, static files."""
