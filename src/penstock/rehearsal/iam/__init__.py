"""IAM's policies evaluated: what a principal may do, as IAM's simulator tells it."""
