"""Results of a given form: choices, a regular expression, a JSON schema or a grammar decide which token may come next."""
