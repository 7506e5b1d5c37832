"""Moving in and out: any origin, any destination, one walk between them."""
