"""The frames, events, requests and answers of the official API. Pure."""
