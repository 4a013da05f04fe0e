internal import DumpBasics

/// The words of a shell's command line, as far as they tell which files it needs: what stands first in each
/// of its commands, and absolute paths. What quotes hold is one word; nothing is expanded.
struct CommandWords {
  /// Names and paths of programs.
  private(set) var programs: [String] = []
  /// Absolute paths that are arguments or redirections.
  private(set) var paths: [String] = []

  /// What stands before a command's name.
  private static let before: Set<String> = ["!", "do", "elif", "else", "eval", "exec", "if", "then", "until", "while", "{"]
  /// What the shell does by itself.
  private static let ofTheShell: Set<String> = [
    ".", ":", "[", "break", "case", "cd", "continue", "done", "echo", "esac", "exit", "export", "false", "fi", "for", "printf",
    "read", "return", "set", "shift", "test", "trap", "true", "ulimit", "umask", "unset", "wait", "}",
  ]

  init(_ command: String) {
    var word: [UInt8] = []
    var isWord = false
    var quote: UInt8?
    var isFirst = true
    var isRedirected = false
    func end() {
      defer { (word, isWord) = ([], false) }
      guard isWord else { return }
      let text = String(decoding: word, as: UTF8.self)
      let isPath = word.first == 0x2f
      if isRedirected || !isFirst {
        if isPath { paths.append(text) }
        isRedirected = false
      } else if word.contains(0x3d) && !isPath || CommandWords.before.contains(text) {
        // `NAME=value gzip`, `exec gzip`: the command follows.
      } else {
        if !word.isEmpty, !CommandWords.ofTheShell.contains(text) { programs.append(text) }
        isFirst = false
      }
    }
    var isEscaped = false
    for byte in command.utf8 {
      if isEscaped {
        word.append(byte)
        isEscaped = false
      } else if let open = quote {
        if byte == open { quote = nil } else { word.append(byte) }
      } else {
        switch byte {
        case 0x27, 0x22: (quote, isWord) = (byte, true)
        case 0x5c: (isEscaped, isWord) = (true, true)
        case 0x20, 0x09: end()
        // A digit before it is the number of a descriptor.
        case 0x3c, 0x3e:
          if word.allSatisfy({ (0x30...0x39).contains($0) }) { (word, isWord) = ([], false) }
          end()
          isRedirected = true
        case 0x26 where isRedirected: break
        case 0x7c, 0x3b, 0x26, 0x28, 0x29, 0x0a, 0x60:
          end()
          (isFirst, isRedirected) = (true, false)
        default:
          word.append(byte)
          isWord = true
        }
      }
    }
    end()
  }
}
