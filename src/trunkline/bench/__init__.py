"""A model measured at every provider from the user's own seat, and their answers compared."""
