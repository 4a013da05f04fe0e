internal import CrashedKernel
internal import DumpBasics

/// How to get from one function's frame to its caller's.
struct OrcEntry: Equatable {
  enum Base { case undefined, previousStack, stack, stackIndirect, frame, frameIndirect, r10, r13, di, dx, ax }
  enum Kind { case undefined, end, call, registers, partialRegisters }

  var stackOffset: Int
  var frameOffset: Int
  var stack: Base
  var frame: Base
  var kind: Kind
}

/// How the 16 bits of fields of an entry are to be read (arch/x86/include/asm/orc_types.h): told by the entry
/// that a kernel has most, "the caller's stack begins 8 bytes above, and there is nothing else".
enum OrcForm: UInt16, CaseIterable {
  /// Up to 6.3: two bits of type.
  case twoBits = 0x005
  /// 6.4 to 7.0.
  case threeBits = 0x205
  /// Since 7.1 registers have other numbers.
  case renumbered = 0x203

  private static let older: [OrcEntry.Base] = [
    .undefined, .previousStack, .dx, .di, .frame, .stack, .r10, .r13, .frameIndirect, .stackIndirect,
  ]
  private static let newer: [OrcEntry.Base] = [
    .undefined, .ax, .dx, .stack, .frame, .di, .r10, .r13, .previousStack, .stackIndirect, .frameIndirect,
  ]

  func entry(stackOffset: UInt16, frameOffset: UInt16, _ fields: UInt16) -> OrcEntry {
    let bases = self == .renumbered ? OrcForm.newer : OrcForm.older
    func base(_ number: UInt16) -> OrcEntry.Base { Int(number) < bases.count ? bases[Int(number)] : .undefined }
    let stack = base(fields & 15)
    let kind: OrcEntry.Kind
    if self == .twoBits {
      // Bits 10 and 11: `end`, or (6.3) `signal` and `end`.
      kind =
        stack == .undefined
        ? (fields >> 10 & 3 != 0 ? .end : .undefined) : [.call, .registers, .partialRegisters, .undefined][Int(fields >> 8 & 3)]
    } else {
      let kinds: [OrcEntry.Kind] = [.undefined, .end, .call, .registers, .partialRegisters]
      let number = Int(fields >> 8 & 7)
      kind = number < kinds.count ? kinds[number] : .undefined
    }
    return OrcEntry(
      stackOffset: Int(Int16(bitPattern: stackOffset)), frameOffset: Int(Int16(bitPattern: frameOffset)), stack: stack,
      frame: base(fields >> 4 & 15), kind: kind)
  }
}

/// The unwind tables of the kernel or of a module: sorted places of code, and an entry for each.
final class OrcTable {
  let count: Int
  let form: OrcForm
  private let places: TableBytes
  private let entries: TableBytes
  private let placesAddress: UInt64

  /// Kernels have 350,000 to 520,000 entries.
  static let countLimit = 1 << 22

  /// `form` nil: found out. Nil when it can't be.
  init?(places: TableBytes, at placesAddress: UInt64, entries: TableBytes, form: OrcForm? = nil) {
    let count = min(places.count / 4, entries.count / 6)
    guard count > 0, let form = form ?? OrcTable.form(entries, count) else { return nil }
    self.count = count
    self.form = form
    self.places = places
    self.entries = entries
    self.placesAddress = placesAddress
  }

  private static func form(_ entries: TableBytes, _ count: Int) -> OrcForm? {
    var tally: [OrcForm: Int] = [:]
    let step = max(1, count / 1024)
    var looked = 0
    for index in stride(from: 0, to: count, by: step) {
      guard let fields = entries.u16(6 * index + 4) else { continue }
      looked += 1
      // Of a call, whatever register holds the frame pointer, by the stack pointer.
      for form in OrcForm.allCases where fields & 0x70f == form.rawValue { tally[form, default: 0] += 1 }
    }
    guard let best = OrcForm.allCases.max(by: { tally[$0, default: 0] < tally[$1, default: 0] }),
      tally[best, default: 0] > looked / 4
    else { return nil }
    return best
  }

  /// Where the code of entry `index` begins: 32-bit distances from their own place.
  private func place(_ index: Int) -> UInt64? {
    places.u32(4 * index).map { placesAddress &+ UInt64(4 * index) &+ UInt64(bitPattern: Int64(Int32(bitPattern: $0))) }
  }

  /// The entry of the code at `address`.
  func entry(at address: UInt64) -> OrcEntry? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      guard let place = place(middle) else { return nil }
      if place <= address { low = middle + 1 } else { high = middle }
    }
    let at = 6 * (low - 1)
    guard low > 0, let stackOffset = entries.u16(at), let frameOffset = entries.u16(at + 2), let fields = entries.u16(at + 4)
    else { return nil }
    return form.entry(stackOffset: stackOffset, frameOffset: frameOffset, fields)
  }
}
