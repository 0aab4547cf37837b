"""Small classes that own the arrays and call the kernels; no formula of a model lives here."""
