"""What each route does: one module per noun, each ending in its part of the table."""
