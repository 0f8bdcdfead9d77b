"""What a training runs on: devices, processes, memory, compilers."""
