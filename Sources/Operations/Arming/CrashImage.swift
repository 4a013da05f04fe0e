internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem
internal import SoftBoot

/// Writes the crash initramfs: what is the same everywhere, then what is of this machine. `normal` is nil
/// where the crash kernel does not start the normal one.
func build(_ image: String, _ base: String, _ plan: ArmPlan, _ normal: NormalFiles?, _ record: ArmRecord) throws(DumpError) {
  let archive = try CpioArchive(image, beginningWith: base)
  try archive.addDirectory("etc")
  try archive.add("etc/mcore.conf", configuration(plan))
  if !record.memory.isEmpty { try archive.add("etc/mcore.memory", ArmedMemory(record.memory).record) }
  if plan.savesDirectly || plan.last != nil {
    try addModules(plan, archive, scratch: image + ".module")
    if !plan.assemblies.isEmpty {
      try archive.add("etc/mcore.devices", plan.assemblies.flatMap(\.lines).joined(separator: "\n") + "\n")
    }
  }
  try archive.add(plan.imageFiles)
  if plan.usesMemory { try addNormalKernel(normal, record, archive) }
  try archive.finish()
}

/// The settings, for the crash kernel: targets as it can reach them.
func configuration(_ plan: ArmPlan) -> String {
  let targets = plan.reachable.compactMap(\.crashWord).map { "target=\($0)" }
  let words = targets + plan.reachableMirrors.compactMap(\.crashWord).map { "mirror=\($0)" } + plan.words
  return words.reduce("") { text, word in
    // Blanks would end a word; # would begin a comment only at its start, where none of ours has one.
    text + (word.utf8.contains { $0 == 0x20 || (0x09...0x0d).contains($0) } ? "\"\(word)\"" : word) + "\n"
  }
}

/// Modules, unpacked: then every kernel can load them by finit_module(2) alone.
private func addModules(_ plan: ArmPlan, _ archive: CpioArchive, scratch: String) throws(DumpError) {
  try archive.addDirectory("modules")
  var list = ""
  defer { try? System.unlink(scratch) }
  for path in plan.modules {
    let source = "\(plan.moduleDirectory)/\(path)"
    let name = ModuleIndex.name(ofFile: path)
    var file = "modules/\(name).ko"
    if let program = ModuleFiles.unpacker(of: path) {
      if ModuleFiles.unpack(source, program, to: scratch) {
        try archive.add(file, contentsOf: scratch)
      } else {
        // The kernel unpacks its own kind by itself: `CheckedModules` has asked it.
        file = "modules/\(path.utf8.split(separator: 0x2f).last.map { String(Substring($0)) } ?? name)"
        try archive.add(file, contentsOf: source)
      }
    } else {
      try archive.add(file, contentsOf: source)
    }
    list += "/\(file)\(plan.moduleOptions.text(for: name))\n"
  }
  try archive.add("etc/mcore.modules", list)
}

private func addNormalKernel(_ normal: NormalFiles?, _ record: ArmRecord, _ archive: CpioArchive) throws(DumpError) {
  try archive.addDirectory("normal")
  if let normal {
    try archive.add("normal/vmlinuz", contentsOf: normal.kernel)
    try archive.add("normal/initrd", contentsOf: normal.initrd)
  }
  try archive.add("normal/cmdline", record.commandLine + "\n")
  try archive.add("normal/memory-map", record.memoryMap)
  try archive.add("normal/boot-id", record.armed.bootID + "\n")
  try archive.add("normal/nonce", record.armed.nonce + "\n")
  if let cpu = record.bootCPU { try archive.add("normal/boot-cpu", "\(cpu)\n") }
  if let image = record.image { try archive.add("normal/kernel-image", "\(hex(image.start))-\(hex(image.end - 1))\n") }
}
