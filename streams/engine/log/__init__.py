"""What the engine writes to its own topics, and what it reads back from them."""
