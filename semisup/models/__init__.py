"""The fit-able models, their losses' schedules, optimizers and averages."""
