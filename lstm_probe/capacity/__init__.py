"""How many units a network uses: those that are not are cut, exactly or by a least-squares merge into the others."""
