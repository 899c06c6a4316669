"""`python -m feint` is the command line."""

from feint.cli import main

if __name__ == "__main__":
    main()
