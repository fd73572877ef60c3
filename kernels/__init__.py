"""A kernel to ask: where it comes from and how the case program reaches it."""
