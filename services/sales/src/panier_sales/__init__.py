"""Live sales tracking with Faust."""
