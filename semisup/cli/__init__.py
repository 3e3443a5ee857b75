"""The command line: flags, the options and settings that they are made from, terminal, choices."""
