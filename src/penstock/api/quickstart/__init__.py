"""The whole story in one call: train, track, pack, build, push, deploy, invoke, watch, delete, prove."""
