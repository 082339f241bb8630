"""Programs that build or check the project; nothing that serves imports them."""
