"""Which values are impossible, and how a row is checked for them."""
