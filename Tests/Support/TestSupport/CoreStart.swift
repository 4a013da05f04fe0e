public import CoreEncoding
public import DumpBasics

/// The start of an ELF core: ELF header, program headers, notes. Program header 0 is the PT_NOTE; `loads` follow.
public func coreStart(
  _ identity: MachineIdentity, _ notes: [DumpNote], _ loads: [ELFProgramHeader],
  tamper: (inout [ELFProgramHeader]) -> Void = { _ in }
) throws -> [UInt8] {
  let bytes = ELF64.encodeNotes(notes, identity.byteOrder)
  let offset = UInt64(ELF64.headersSize(programHeaders: loads.count + 1))
  var headers = [
    ELFProgramHeader(
      type: ELFProgramHeader.note, flags: 0, offset: offset, virtualAddress: 0, physicalAddress: 0,
      fileSize: UInt64(bytes.count), memorySize: UInt64(bytes.count))
  ]
  headers += loads
  tamper(&headers)
  return try ELF64.encode(identity, headers) + bytes
}
