"""Let agents read and send through the Model Context Protocol."""
