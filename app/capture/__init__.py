"""From sources to envelopes: reads what comes in, keeps what cannot be read, hands the rest to the door."""
