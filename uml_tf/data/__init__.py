"""Data sets: the prepared form, converters, checks and the training pipeline."""
