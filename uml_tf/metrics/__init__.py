"""Metrics: plain arrays in, plain numbers out; nothing here knows a network."""
