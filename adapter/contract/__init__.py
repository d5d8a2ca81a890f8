"""The contract as data: AsyncAPI, JSON Schemas, golden entries, roles; and how a live bus is checked."""
