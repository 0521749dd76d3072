"""A load generator over the product's own pages: people of the demo who look, like, follow and comment.

`choices` says what they do next (pure), `person` does it with a `browser` and checks what `pages` show, `tally` counts,
`run` brings them together, `command` is the command line.
"""
