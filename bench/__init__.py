"""A matter of degree: what the documents compare, one repetition at a time, and its picture. Imports nothing of the project."""
