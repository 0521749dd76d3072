"""People: signing up and in, passwords, profiles."""
