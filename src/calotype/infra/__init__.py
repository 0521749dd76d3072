"""The data plane: plain typed packages, each usable without Django set up."""
