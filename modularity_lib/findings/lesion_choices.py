"""What lesions and their effects share; apart from both, so that tables are read without the code that measures."""

FEWEST_SETS = 20  # with fewer there is no comparison
OUTCOMES = ("accuracy", "accuracy_spread", "entropy", "entropy_spread")
