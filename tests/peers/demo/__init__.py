"""The bots that the demo can run in the place of its echo worker."""
