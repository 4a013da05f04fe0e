internal import CoreEncoding
internal import DumpBasics

/// How much of a pass is in a dump that is cut: bytes of the uncompressed file.
struct PassProgress: Sendable, Equatable {
  var pass: Pass
  var size: UInt64
  var present: UInt64

  /// For a dump of ours of which `present` bytes of the uncompressed file are there. Passes without memory
  /// are left out.
  static func of(_ note: MCoreNote, present: UInt64) -> [PassProgress] {
    var start: UInt64 = 0
    var result: [PassProgress] = []
    for (pass, end) in zip(Pass.allCases, note.passEnds) {
      let size = end - min(end, start)
      if size > 0 { result.append(PassProgress(pass: pass, size: size, present: min(size, present - min(present, start)))) }
      // The hole stands behind pass 2; what it holds is known without it.
      start = pass == .kernelCore ? clampedSum(end, note.holeSize) : end
    }
    return result
  }

  var json: JSON {
    .object([("pass", .unsigned(UInt64(pass.rawValue))), ("bytes", .unsigned(size)), ("present", .unsigned(present))])
  }

  /// `pass 3 (other kernel pages) 41 %`
  var text: String {
    "pass \(pass.rawValue) (\(pass.text)) \(present == size ? "whole" : "\(present / max(1, size / 100)) %")"
  }
}

extension DumpFacts {
  /// How much of a dump that is cut is there.
  var progressText: String {
    #if Kdump
      // Page for page there are no passes.
      if passes.isEmpty {
        let missing = absentPages.reduce(0) { $0 + ($1.reason == .level ? 0 : $1.pages) }
        return "\(keptPages) of \(keptPages + missing) pages"
      }
    #endif
    return passes.map(\.text).joined(separator: ", ")
  }

  /// Takes over that the dump ends early: what is not there, and how far each pass goes.
  mutating func take(cutOff: [PhysicalRange], _ note: MCoreNote, present: UInt64) {
    self.cutOff = cutOff
    passes = PassProgress.of(note, present: present)
    absent = absent.merged(with: cutOff.lazy.map { AbsentRange($0, .cutOff) })
    let pages = pages(cutOff)
    keptPages -= min(keptPages, pages)
  }
}
