"""Recent photographs that many people like: ranked by a periodic job, read from the cache."""
