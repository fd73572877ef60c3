"""A matter of degree: one repetition of each way that the documents compare, and its picture.

Imports nothing of the project.
"""
