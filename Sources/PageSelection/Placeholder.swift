internal import DumpBasics
