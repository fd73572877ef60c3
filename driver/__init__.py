"""The ctest driver: command line, plan, run, merge."""
