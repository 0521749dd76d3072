"""Hashtags and mentions in what people write: found, resolved, and shown as links."""
