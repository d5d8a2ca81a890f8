"""The proofs: one file for each module, and a simulator that stands in for the network."""
