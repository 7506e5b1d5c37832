"""What images are built on: a file system made from Debian packages, or any image of a registry."""
