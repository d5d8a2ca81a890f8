"""Worker runtime: consumer groups, dispatch, results."""
