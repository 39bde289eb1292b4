"""Payment providers behind one Protocol."""
