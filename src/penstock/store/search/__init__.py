"""The filter language: text -> tree -> SQL and parameters, all pure."""
