"""Code that several test files share; tests import it as ``helpers.NAME``."""
