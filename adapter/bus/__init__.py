"""Door 2, Redis: streams, the lease, the ledger, and the server that comes with the package."""
