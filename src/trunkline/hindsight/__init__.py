"""Calls carried in time that is made up: what would have become of them elsewhere. No socket, no clock."""
