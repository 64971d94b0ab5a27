"""Running a model over a split, measuring it and writing what was measured."""
