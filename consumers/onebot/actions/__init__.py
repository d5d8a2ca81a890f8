"""Actions of OneBot 11 that the gateway knows."""
