"""Config, schedule, step, loop and the whole run."""
