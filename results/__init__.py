"""An answer: events, runs, verdicts and the reports written from them. Imports nothing of the project."""
