internal import CoreEncoding
internal import DumpBasics
internal import DumpSource

/// A note that is neither registers nor VMCOREINFO nor mcore's own: a device's dump, say.
struct OtherNote: Sendable, Equatable {
  var name: String
  var type: UInt32
  var bytes: UInt64
  /// What a device calls its dump: the text that the descriptor begins with (struct vmcoredd_header,
  /// include/uapi/linux/vmcore.h). Nil where there is none.
  var label: String?

  /// NT_VMCOREDD.
  private static let deviceDump: UInt32 = 0x700
  private static let limit = 64

  static func of(_ source: any DumpSource) -> [OtherNote] {
    let small = source.notes.lazy.filter { !$0.isProcessorStatus && !$0.isVMCoreInfo && $0.name != MCoreNote.name }.map { note in
      OtherNote(
        name: note.name, type: note.type, bytes: UInt64(note.descriptor.count),
        label: note.type == deviceDump ? label(Array(note.descriptor.prefix(64))) : nil)
    }
    let large = source.largeNotes.lazy.map { note in
      OtherNote(
        name: note.name, type: note.type, bytes: note.size, label: note.type == deviceDump ? label(start(note, source)) : nil)
    }
    return Array((Array(small) + Array(large)).prefix(limit))
  }

  private static func start(_ note: LargeNote, _ source: any DumpSource) -> [UInt8] {
    (try? unsafe [UInt8].filled(Int(min(64, note.size))) { (buffer) throws(DumpError) in
      unsafe try source.readLargeNote(note, at: 0, into: buffer)
    }) ?? []
  }

  private static func label(_ start: [UInt8]) -> String? {
    let text = start.drop { $0 == 0 }.prefix { (0x20...0x7e).contains($0) }
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }

  var json: JSON {
    .object([
      ("name", .string(name)), ("type", .unsigned(UInt64(type))), ("bytes", .unsigned(bytes)), ("label", .optional(label)),
    ])
  }

  var text: String { "\(name), type \(hex(UInt64(type))), \(humanBytes(bytes))\(label.map { ", \($0)" } ?? "")" }
}
