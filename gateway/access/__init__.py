"""Who may come in and what they may see: tokens, keys, revocations, limits, scope, masking."""
