"""What people say under a post."""
