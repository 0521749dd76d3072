"""The home feed, and the page of one post."""
