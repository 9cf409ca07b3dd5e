"""Shell completion: a script for each shell, written from the tables of argparse, which no program has to be run for."""
