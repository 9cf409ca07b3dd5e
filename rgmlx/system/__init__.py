"""What is asked of the operating system: paths, files, variables, processes, threads, devices; text that is safe to show."""
