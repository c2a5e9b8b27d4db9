"""Pokémon gen1ou on Pokémon Showdown."""
