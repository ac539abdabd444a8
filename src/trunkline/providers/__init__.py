"""Who serves models: every provider as a row of data, and where a call to each goes."""
