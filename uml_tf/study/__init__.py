"""Studies: ways to train, each repeated over seeds and folds, in one table with intervals."""
