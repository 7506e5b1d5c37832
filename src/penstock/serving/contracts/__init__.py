"""What each platform asks of a model server: one file a contract, each a table of routes."""
