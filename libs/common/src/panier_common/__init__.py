"""Contracts and plumbing shared by Panier's services."""
