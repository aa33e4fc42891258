"""How many tokens a request has, about, without asking anybody. Data and arithmetic."""
