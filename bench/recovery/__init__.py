"""How long orders stand still when the fast path breaks: from the fault to the next completed order."""
