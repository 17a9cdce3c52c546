"""The simulated company and all that can happen in it, right and wrong. Reads no clock and touches no database.

Every threshold here is this package's own view of what is right and wrong in such a company. What is wrong is clearly
wrong, and what is right comes close on purpose; nothing is planted in between, where reasonable people differ.
"""
