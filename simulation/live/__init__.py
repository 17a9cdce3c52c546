"""The simulated company behind `watchfloor demo`: believable rows, written the way a customer's programs write."""
