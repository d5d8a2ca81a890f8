"""Load, hold and number the contacts of a session."""
