"""A sender with a fault planted: it sends three times as fast as its numbers may. The storm is to find it."""

from panier_bench import recorded_sender
from panier_sender import rates

rates.USED_SHARE = 3.0

if __name__ == "__main__":
    recorded_sender.main()
