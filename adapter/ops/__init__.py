"""Door 3, the operator: command line, status, metrics."""
