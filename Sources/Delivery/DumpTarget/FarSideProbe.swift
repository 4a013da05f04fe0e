package import DumpBasics
internal import LinuxSystem

/// Asks far sides whether they would take a dump now, on the running system.
extension TargetSpec {
  /// Leaves nothing behind there. Returns the bytes that are free, where the far side tells.
  /// - Throws: why it would take none.
  package func askFarSide(_ transfer: TransferOptions, limit: UInt64) throws(DumpError) -> UInt64? {
    var transfer = transfer
    transfer.stallSeconds = limit
    if let place = (kind as? SSHTarget)?.place {
      let answer = try SSHShell(place, transfer).run(FarSideProbe.script(place.path), limit: limit)
      guard FarSideProbe.amount("mcore-ready ", answer) == 1 else {
        throw DumpError(lastLine(answer), at: word)
      }
      return FarSideProbe.amount("mcore-free ", answer).map { clampedProduct($0, 1024) }
    }
    if let target = kind as? HTTPTarget, ObjectStore.isSigned(transfer.curlConfig) {
      // Who may not list what is there gets 403 for what is not there.
      let codes = try ObjectStore(Curl(transfer)).statuses([target.base + "mcore-probe"])
      if let code = codes.first, code >= 500 { throw DumpError("the store answers with status \(code)", at: target.base) }
      return nil
    }
    if let target = kind as? HTTPTarget {
      // A directory that may not be listed takes files all the same.
      let codes = try Curl(transfer).statuses(["--head", "--max-time", "\(limit)"], [target.base])
      if let code = codes.first, code >= 500 { throw DumpError("the server answers with status \(code)", at: target.base) }
      return nil
    }
    if let place = (kind as? NFSTarget)?.place {
      let system = try MountedFileSystem(
        remote: "\(place.inBrackets):\(place.path)", type: "nfs", options: NFSTarget.options(stall: limit), limit: limit)
      defer { system.release() }
      let probe = "\(system.point)/.mcore-probe"
      defer { try? System.unlink(probe) }
      try System.replaceFile(probe, with: [UInt8](repeating: 0x6d, count: 4096))
      return System.freeBytes(system.point)
    }
    return nil
  }
}

private enum FarSideProbe {
  /// The nearest directory that is there: the rest is made when a dump comes.
  static func script(_ path: String) -> String {
    """
    p=\(shellQuoted(path)); while [ ! -d "$p" ]; do q=${p%/*}; p=${q:-/}; done
    [ -w "$p" ] || { echo "nothing can be written to $p there"; exit 1; }
    df -Pk "$p" 2>/dev/null | { read a; read a b c free e; echo "mcore-free $free"; }
    echo "mcore-ready 1"
    """
  }

  static func amount(_ marker: String, _ answer: String) -> UInt64? {
    line(of: answer, with: marker)?.split(atFirst: marker).flatMap { number($0.after) }
  }
}
