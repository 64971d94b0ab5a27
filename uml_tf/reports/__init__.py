"""Pages and cards about a trained model, for people: from what training, evaluation and export wrote."""
