import ArgumentParser
import DumpBasics
import Reading

struct Index: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write an index of a dump in elf.gz, in bgzip's form.",
    discussion: """
      With it 'bgzip -b OFFSET -s SIZE' reads the content at any offset. Nothing is decompressed for it. mcore itself needs none.
      """)

  @Option(name: .shortAndLong, help: "The index (default: the dump's name with .gzi).")
  var output: String?

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  func run() throws {
    try failing { () throws(DumpError) in
      let index = try indexDump(dump, to: output)
      standardError("mcore: \(printable(index.path)): \(index.entries) blocks but the first")
    }
  }
}
