"""Where a call goes, how often it is tried, and the generators that tell a driver what to do."""
