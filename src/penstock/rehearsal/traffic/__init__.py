"""What happens to an invocation: routing, connections, metrics, logs, capture."""
