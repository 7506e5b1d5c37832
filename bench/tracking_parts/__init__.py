"""The parts of bench/tracking.py: servers, their data, the load, the rows of the table, and the report."""
