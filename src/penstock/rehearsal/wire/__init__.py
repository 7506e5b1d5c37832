"""What AWS's protocols look like: errors, JSON 1.1, event streams, and validation from the service models."""
