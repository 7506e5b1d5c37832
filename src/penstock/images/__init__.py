"""The image builder: a model folder in, an image out, with no container engine."""
