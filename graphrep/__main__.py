"""python -m graphrep: the command without its entry point."""

from graphrep.cli import main

if __name__ == "__main__":
    main()
