"""The local log of calls: what becomes a row of it, and who writes it. Loaded only where it is on."""
