"""Redis: streams, the lease, the ledger, and the embedded server."""
