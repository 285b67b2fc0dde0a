"""The numpy side: a float reference and a bit-exact machine that runs compiled programs."""
