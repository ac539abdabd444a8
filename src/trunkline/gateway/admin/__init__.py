"""The admin API: keys, accounts, spend and the gateway itself, below `/admin`."""
