"""The answers, one file a lesson, each written as it would stand in the notebook."""
