"""The contract as data: AsyncAPI, JSON Schemas, golden entries, roles, and a linter for a live bus."""
