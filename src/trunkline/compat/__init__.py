"""Names that other libraries' users know, on top of Trunkline's own."""
