"""`make bench`: mcore beside makedumpfile, on one real dump. See docs/measurements/bench.md."""
