"""The image house: images as values, where they come from (sources) and where they go (sinks). No container engine.

``types`` and ``reference`` are the words; ``layer`` writes deterministic layers into a ``cache``; ``image`` composes
them; ``client`` pushes and pulls; ``registry`` answers; ``unpack``, ``layout`` and ``archive`` meet the file system.
"""
