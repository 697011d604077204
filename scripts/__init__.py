"""The benchmark's steps (verbs, run with ``python -m scripts STEP``) and what they share (nouns)."""
