"""Python packages of an image: resolved and locked for the target, fetched, and laid out straight from their zips."""
