internal import DumpBasics
internal import LinuxSystem

/// Appends to an initramfs: an archive of a few files in the "newc" format behind what is there (an initramfs
/// may be several archives, Documentation/driver-api/early-userspace/buffer-format.rst). Nothing is
/// compressed: kernels and initramfs are already.
final class CpioArchive {
  private let file: File
  private var position: UInt64 = 0
  private var inode: UInt64 = 0

  /// Makes the file at `path`, mode 0600, beginning with what `base` holds.
  init(_ path: String, beginningWith base: String) throws(DumpError) {
    file = try File(path, .replace)
    try copy(base)
    // Between archives the kernel skips zeros (init/initramfs.c).
    try pad()
  }

  func addDirectory(_ name: String) throws(DumpError) { try header(name, mode: 0o040700, size: 0) }

  func add(_ name: String, _ text: String) throws(DumpError) {
    try header(name, mode: 0o100600, size: UInt64(text.utf8.count))
    try write(Array(text.utf8))
    try pad()
  }

  func add(_ name: String, contentsOf path: String, isProgram: Bool = false) throws(DumpError) {
    let size = try File(path, .read).size()
    guard size < 1 << 32 else { throw DumpError("too large for an initramfs: \(humanBytes(size))", at: path) }
    try header(name, mode: isProgram ? 0o100700 : 0o100600, size: size)
    let start = position
    try copy(path)
    guard position - start == size else { throw DumpError("it changed while it was read", at: path) }
    try pad()
  }

  func finish() throws(DumpError) {
    try header("TRAILER!!!", mode: 0, size: 0)
    try file.synchronize()
  }

  private func copy(_ path: String) throws(DumpError) {
    let source = try File(path, .read)
    var offset: UInt64 = 0
    while true {
      let piece = try source.bytes(at: offset, count: 1 << 20)
      if piece.isEmpty { return }
      try write(piece)
      offset += UInt64(piece.count)
    }
  }

  private func header(_ name: String, mode: UInt64, size: UInt64) throws(DumpError) {
    inode += 1
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, UInt64(name.utf8.count + 1), 0]
    var text = "070701"
    for field in fields { text += padded(field, 8, radix: 16) }
    try write(Array((text + name).utf8) + [0])
    try pad()
  }

  private func write(_ bytes: [UInt8]) throws(DumpError) {
    try file.write(bytes)
    position += UInt64(bytes.count)
  }

  private func pad() throws(DumpError) {
    try write([UInt8](repeating: 0, count: Int((4 - position % 4) % 4)))
  }
}
