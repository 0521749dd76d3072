"""Where the marks of a text lead: edges to tags and to people, kept by a job; and the page of a hashtag."""
