"""The simulated proof: the product's own code on a simulated log, store, clock and Graph API, one seed a history.

Nothing here decides what the product does; the engines it stands on are imitated, and what they promise is held to
the real ones by a conformance suite.
"""
