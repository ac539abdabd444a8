"""Wire formats as pure translation, each read and written in both roles. No I/O here."""
