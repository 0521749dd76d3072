"""What others did that concerns somebody: likes, comments, follows; a page, a number, and news of it at once."""
