"""Tests with real kernels and the tools that people read dumps with."""

import signal

# What ignores these from the start, as under nohup or in the background of a script, has children that do so as well, whoever
# sends the signal. A handler is reset for a child.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
