"""Trunkline: one token, every provider. The public names; nothing is defined here."""
