"""Messages of SmartQQ: polls in, sends out."""
