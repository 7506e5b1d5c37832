"""How the plane runs a pushed image: pull, unpack, isolate, watch, stop."""
