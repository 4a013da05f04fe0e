import DumpSource
import Foundation
import TestSupport

extension CampaignImage {
  /// Mutation `number` as JSON: what to write at which offsets of the file, and what becomes of mcore's dump.
  /// Nil for one that is no change of bytes in memory (VMCOREINFO, memory that can't be read).
  public func patchLine(_ number: Int) -> String? {
    guard let mutation = draw(number), !mutation.patches.isEmpty, mutation.unreadable.isEmpty, mutation.vmcoreinfo == nil else {
      return nil
    }
    var writes: [[String]] = []
    for patch in mutation.patches {
      let hex = patch.bytes.map { String(format: "%02x", $0) }.joined()
      // A raw copy of /proc/vmcore holds the kernel's image twice.
      for segment in source.segments
      where patch.address.rawValue >= segment.physical.start
        && patch.address.rawValue + UInt64(patch.bytes.count) <= segment.physical.start + segment.fileSize
      {
        writes.append([String(segment.fileOffset + patch.address.rawValue - segment.physical.start), hex])
      }
    }
    let judgement = judge(mutation)
    let line: [String: Any] = [
      "number": number, "kind": mutation.kind.rawValue, "text": mutation.description, "writes": writes,
      "lost": judgement.lost, "silent": judgement.silent.reduce(0) { $0 + $1.count }, "kept": judgement.extraKept,
      "violations": judgement.violations.count,
    ]
    return (try? JSONSerialization.data(withJSONObject: line)).map { String(decoding: $0, as: UTF8.self) }
  }
}
