"""What tests of every package share: the pytest plugin with a real broker and a real database."""
