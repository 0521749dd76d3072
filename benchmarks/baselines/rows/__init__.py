"""Objects and edges as hand-written, unsharded tables: the baselines of `calotype bench graph`."""
