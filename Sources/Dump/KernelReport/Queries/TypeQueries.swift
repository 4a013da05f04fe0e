internal import CoreEncoding
internal import DumpBasics

extension KernelQueries {
  /// `mcore types`: the members of a structure with offsets and sizes, the values of an enumeration; of
  /// `structure.member` one line.
  public func types(_ names: [String], json: Bool) -> Answer {
    var texts: [String] = []
    var entries: [JSON] = []
    var problems: [DumpError] = []
    for name in names {
      do throws(DumpError) {
        let (text, entry) = try type(name)
        texts.append(text)
        entries.append(entry)
      } catch {
        problems.append(error)
      }
    }
    return Answer(text: json ? JSON.array(entries).text() : texts.joined(separator: "\n"), problems: problems)
  }

  /// The kernel's types, or those of the first module that has this one.
  func table(with name: String) throws(DumpError) -> (types: TypeTable, type: Int) {
    if let types = view.types {
      if let type = types.type(named: name) { return (types, type) }
      for types in moduleTypes() {
        if let type = types.type(named: name) { return (types, type) }
      }
    }
    throw failure("the kernel has no type \(name)")
  }

  /// The types of modules (`btf_modules`, kernel/bpf/btf.c), which go on where the kernel's end.
  private func moduleTypes() -> some Sequence<TypeTable> {
    let head = view.symbol("btf_modules")
    let inside = view.offset("btf_module", "list")
    let entries = head.flatMap { head in
      inside.map { view.list(head, inside: $0, limit: 1024, of: "modules' types (btf_modules)") }
    }
    // All of them together are smaller than this: each is gone through.
    var left = UInt64(TypeTable.sizeLimit)
    return (entries ?? []).lazy.compactMap { entry -> TypeTable? in
      guard let btf = view.value(entry, "btf_module", "btf"), let data = view.value(btf, "btf", "data"),
        let size = view.value(btf, "btf", "data_size"), size <= left, let base = view.types
      else { return nil }
      left -= size
      return TypeTable(TableBytes(view.memory, data, count: Int(size)), names: [], base: base)
    }
  }

  private func type(_ name: String) throws(DumpError) -> (String, JSON) {
    if let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")) {
      let (types, type) = try table(with: String(name[..<dot]))
      guard let member = types.member(type, String(name[name.utf8.index(after: dot)...])) else {
        throw failure("the kernel has no member \(name)")
      }
      let bits = member.bits > 0 ? ", bits \(member.bitOffset % 8) to \(member.bitOffset % 8 + member.bits - 1)" : ""
      let size = types.size(member.type).map { "\($0) bytes" } ?? "of no size"
      var reader = FieldReader(view, places, types)
      return (
        "\(name): offset \(member.offset)\(bits), \(size), \(types.text(of: member.type))", reader.field(name, member, nil).json
      )
    }
    let (types, type) = try table(with: name)
    let bare = types.bare(type)
    let size = types.size(type)
    var head: [(String, JSON)] = [("name", .string(name)), ("size", size.map { .number(Int64($0)) } ?? .null)]
    switch types.kind(bare) {
    case .enumeration, .enumeration64:
      let values = types.enumerators(bare)
      head += [("kind", .string("enum")), ("values", .object(values.map { ($0.name, .number($0.value)) }))]
      return ((["enum \(name)"] + values.map { "  \($0.name) = \($0.value)" }).joined(separator: "\n"), .object(head))
    case .structure, .union:
      let kind = types.kind(bare) == .union ? "union" : "struct"
      var reader = FieldReader(view, places, types)
      let fields = reader.fields(bare, nil)
      var lines = ["\(kind) \(name), \(size ?? 0) bytes"]
      for field in fields { field.lines(1, &lines) }
      head += [("kind", .string(kind)), ("members", .array(fields.map(\.json)))]
      return (lines.joined(separator: "\n"), .object(head))
    default:
      head.append(("kind", .string(types.text(of: type))))
      return ("\(name): \(types.text(of: type)), \(size.map { "\($0) bytes" } ?? "of no size")", .object(head))
    }
  }
}
