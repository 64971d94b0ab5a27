"""Training: config, schedule, step, loop, and the whole run."""
