"""The same things as an ordinary Django site does them: one database, one table for each kind of thing."""
