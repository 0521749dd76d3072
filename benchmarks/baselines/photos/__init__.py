"""The tables of both baselines."""
