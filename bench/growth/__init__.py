"""What grows with use: the time of an order with what is remembered, connected and open; memory, idle CPU, restart."""
