"""How work reaches the splitter: Event Grid events, which uploads count, and in what style."""
