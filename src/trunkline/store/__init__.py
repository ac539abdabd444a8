"""What the gateway keeps: keys, accounts and the ledger, behind one small interface."""
