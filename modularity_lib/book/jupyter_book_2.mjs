// Loaded by Jupyter Book 2 through myst.yml. The chapters run in an extension of Sphinx, which version 2 does not use.
console.error(
  'This book is made by Jupyter Book 1, and this is version 2. Install version 1 with: pip install "jupyter-book>=1.0.4,<2"; ' +
    "or let `make book` install all that belongs to it.",
);
process.exit(1);
