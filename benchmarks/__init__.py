"""Every claim on cost that the project makes, measured beside a baseline in the same run (docs/benchmarks.md)."""
