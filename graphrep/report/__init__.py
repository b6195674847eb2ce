"""Plain data to one self-contained page: no script, no network, every word from outside escaped."""
