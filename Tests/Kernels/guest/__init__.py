"""Real machines for the tests: guests in QEMU that work, crash and boot again, and the dumps that come of it.

Standard library only. Everything that takes a machine has a time limit, and nothing outlives the harness.
Run `python3 -m guest --help` from Tests/Kernels.
"""
