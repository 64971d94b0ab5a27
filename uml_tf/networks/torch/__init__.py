"""PyTorch checkpoints of the published networks: a reader without PyTorch, and their names."""
