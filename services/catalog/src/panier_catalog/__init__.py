"""Shops, products, search, browsing and stock."""
