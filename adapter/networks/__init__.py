"""Networks behind the seam `upstream`."""
