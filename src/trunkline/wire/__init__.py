"""HTTP/1.1, server-sent events and JSON as pure translation: bytes in, values out, and back."""
