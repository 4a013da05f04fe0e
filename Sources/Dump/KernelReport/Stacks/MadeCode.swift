/// Code that the kernel made while it ran, with the name that it has in /proc/kallsyms: `bpf_prog_…`,
/// `bpf_trampoline_…`.
struct MadeCode {
  var name: String
  var range: Range<UInt64>
}

/// All of BPF's (struct bpf_ksym in include/linux/bpf.h, since 5.7).
func madeCode(_ view: KernelView) -> [MadeCode] {
  guard let head = view.symbol("bpf_kallsyms"), let inside = view.offset("bpf_ksym", "lnode"),
    let name = view.offset("bpf_ksym", "name")
  else { return [] }
  return view.list(head, inside: inside, limit: 4096, of: "programs of BPF").compactMap { entry in
    guard let start = view.value(entry, "bpf_ksym", "start"), let end = view.value(entry, "bpf_ksym", "end"), start < end,
      isKernelAddress(start), let text = view.text(entry &+ name, limit: 512)
    else { return nil }
    return MadeCode(name: text, range: start..<end)
  }
}
