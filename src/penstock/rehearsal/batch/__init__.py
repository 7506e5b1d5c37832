"""Batch transform: jobs, and the pure part of them: records, batches, filters, joins."""
