"""The MlflowClient-shaped object, one noun a file."""
