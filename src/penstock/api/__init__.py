"""The public functions: what a notebook calls and what each command calls."""
