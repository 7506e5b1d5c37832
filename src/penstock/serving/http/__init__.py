"""The HTTP/1.1 server that three rooms share: the model server, the tracking server and the rehearsal."""
