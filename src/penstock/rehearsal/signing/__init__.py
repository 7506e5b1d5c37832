"""Signatures of AWS requests, recomputed and held against what the client sent."""
