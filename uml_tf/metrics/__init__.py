"""Metrics: plain arrays in, plain numbers out. A file that registers a metric is all that a new one needs."""
