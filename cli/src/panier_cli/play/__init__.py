"""Playing a customer against a running stack, through the simulator's API."""
