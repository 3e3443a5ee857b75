"""What a training runs on: backend, accelerators, memory, other hosts, versions, signals."""
