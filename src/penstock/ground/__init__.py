"""The ground floor: values, names, errors, settings and files. Standard library and msgspec, nothing else."""
