"""Running endpoints: instances launched, watched and replaced, fleets rolled out and back."""
