"""A runner for this project's workflows: GitHub's side of them, on this machine."""
