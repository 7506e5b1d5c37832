"""The model server: the program that every image starts, and the HTTP server that it shares with two rooms."""
