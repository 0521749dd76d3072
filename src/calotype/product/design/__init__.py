"""The look, on a page for staff: every token and every component, in both themes beside each other."""
