"""Other programs' doors to rgmlx: each a module that the program loads, and none of which rgmlx needs."""
