"""Melee without the game: a mock simulator with the fighters' true attributes."""
