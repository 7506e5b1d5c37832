"""Background logging: what was logged, cut into batches, sent by a thread, kept on disk while the server is away."""
