"""Known misuse and its look-alikes, by family; each scenario of the catalogue in two shapes or more."""
