"""How work reaches the splitter: Event Grid events, which uploads are accepted, and their style."""
