import DumpBasics
import LinuxSystem

/// One line to standard error. That it can't be written has nobody to be told to.
func standardError(_ line: String) {
  try? File(borrowing: 2, name: "standard error").write(line + "\n")
}

func standardOutput(_ text: String) throws(DumpError) {
  try File(borrowing: 1, name: "standard output").write(text)
}
