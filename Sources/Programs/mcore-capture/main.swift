import CaptureInit
import LinuxSystem

System.exit(runCaptureProgram(Array(CommandLine.arguments.dropFirst())))
