"""The panier command and the local stack."""
