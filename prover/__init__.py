"""Turns secrets into proof bundles; sees circuits only."""
