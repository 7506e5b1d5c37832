"""Bodies into payloads and predictions into bodies: one file a format."""
