"""``python -m penstock.serving serve [MODEL]``."""

from penstock.serving.program import serve_main

serve_main()
