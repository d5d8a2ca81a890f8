"""The command line of the MCP inspector against the MCP server."""
