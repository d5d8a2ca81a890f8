"""Write-ahead log of events and its publisher to Redis."""
