"""Workers of the bus, and the runtime that they share."""
