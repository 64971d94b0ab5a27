"""Running a model over a split, measuring its predictions, comparing two models, writing the results."""
