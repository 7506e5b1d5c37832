"""The top floor: a command parses, calls one public function of the same name, and prints."""
