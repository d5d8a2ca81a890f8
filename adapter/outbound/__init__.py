"""Send requests: from `qq:outbound` to the network and back as a result."""
