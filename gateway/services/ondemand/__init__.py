"""Documents made when they are asked for; see README.md."""
