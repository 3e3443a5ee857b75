"""The command `python -m scripts.search`."""

from scripts.search.command import main

if __name__ == "__main__":
    main()
