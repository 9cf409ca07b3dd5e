"""Whether the kernels are right on this machine: cases, the check at the first load, and what is remembered of it."""
