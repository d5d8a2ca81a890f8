"""Keep the credentials of a SmartQQ session: cookies, tokens and their file."""
