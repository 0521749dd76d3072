"""A person's page, and people to find."""
