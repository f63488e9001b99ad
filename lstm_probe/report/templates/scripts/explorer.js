// The unit explorer.
