"""OneBot 11 on the wire: frames to the vocabulary and back. Pure."""
