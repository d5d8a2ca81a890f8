"""Workers that live on the bus, and the runtime they share."""
