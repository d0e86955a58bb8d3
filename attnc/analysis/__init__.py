"""Models of machines and of published designs, as closed forms."""
