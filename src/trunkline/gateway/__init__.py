"""The gateway: an OpenAI-compatible service with keys, budgets and a ledger, in front of upstreams."""
