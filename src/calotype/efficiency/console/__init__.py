"""What requests cost, on pages for staff, of any Django site. See docs/ops.md."""
