import DumpBasics

/// A program or library: two segments and its dynamic section.
func elf(_ needed: [String], interpreter: String? = nil, runpath: String? = nil, machine: UInt16 = 62) -> [UInt8] {
  var strings: [UInt8] = [0]
  func text(_ value: String) -> UInt64 {
    defer { strings += Array(value.utf8) + [0] }
    return UInt64(strings.count)
  }
  var entries: [(UInt64, UInt64)] = needed.map { (1, text($0)) }
  if let runpath { entries.append((29, text(runpath))) }
  let place = UInt64(0x1000)
  entries += [(5, place + 0x400000), (10, UInt64(strings.count))]
  entries.append((0, 0))
  var bytes = ByteWriter(.little)
  bytes.append([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8))
  bytes.u16(3)
  bytes.u16(machine)
  bytes.zeros(12)
  bytes.u64(64)
  bytes.zeros(14)
  bytes.u16(56)
  let segments: [(UInt32, UInt64, UInt64, UInt64)] =
    [(1, place, place + 0x400000, 0x1000), (2, 0x800, 0x800, UInt64(16 * entries.count))]
    + (interpreter.map { [(3, 0x400, 0x400, UInt64($0.utf8.count + 1))] } ?? [])
  bytes.u16(UInt16(segments.count))
  bytes.zeros(6)
  for (type, offset, address, size) in segments {
    bytes.u32(type)
    bytes.u32(4)
    for value in [offset, address, address, size, size, 1] { bytes.u64(value) }
  }
  bytes.zeros(0x400 - bytes.count)
  if let interpreter { bytes.append(Array(interpreter.utf8) + [0]) }
  bytes.zeros(0x800 - bytes.count)
  for (tag, value) in entries {
    bytes.u64(tag)
    bytes.u64(value)
  }
  bytes.zeros(0x1000 - bytes.count)
  bytes.append(strings)
  return bytes.bytes
}
