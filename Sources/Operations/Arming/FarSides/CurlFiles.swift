internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// What curl goes by, for the crash kernel: the file of `curl-config=` with the files that it names, and the
/// certificates of authorities.
struct CurlFiles: Equatable {
  static let configuration = "etc/mcore-curl.conf"
  private(set) var files: [ImageFile] = []
  /// The host that requests go to, where it is not that of the target.
  private(set) var proxy: String?

  /// Options with a file behind them (curl(1)).
  private static let fileOptions = [
    "cacert", "cert", "E", "key", "netrc-file", "proxy-cacert", "proxy-cert", "proxy-key", "pinnedpubkey",
  ]

  /// - Parameter isSecure: whether certificates are needed at all.
  init(_ config: String?, isSecure: Bool, _ machine: Machine) throws(DumpError) {
    var hasAuthorities = !isSecure
    if let config {
      let text = try machine.text(config)
      files.append(ImageFile(name: CurlFiles.configuration, content: .text(text)))
      for line in text.utf8.split(separator: 0x0a) {
        guard let (option, value) = Curl.option(line) else { continue }
        if option == "proxy" || option == "x" { proxy = CurlFiles.host(value) }
        if ["cacert", "capath", "insecure", "k", "ca-native"].contains(option) { hasAuthorities = true }
        if option == "capath" {
          throw DumpError("a directory of certificates is not taken along", at: config, advice: "name a file by cacert")
        }
        if CurlFiles.fileOptions.contains(option), !value.utf8.starts(with: "sha256//".utf8) { try add(value, config, machine) }
      }
    }
    if hasAuthorities { return }
    let bundles = [
      "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/var/lib/ca-certificates/ca-bundle.pem",
      "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    ]
    for bundle in bundles where System.kind(of: machine.root + bundle) == .regular {
      files.append(ImageFile(name: String(bundle.dropFirst()), content: .copy(machine.root + bundle)))
    }
    if !files.contains(where: { $0.name != CurlFiles.configuration }) {
      throw DumpError(
        "there are no certificates of authorities, by which the server could be known", at: bundles[0],
        advice: "install ca-certificates, or name a file by cacert in that of curl-config=")
    }
  }

  private mutating func add(_ value: String, _ config: String, _ machine: Machine) throws(DumpError) {
    // A password may stand behind a certificate's name.
    let path = String(Substring(value.utf8.prefix { $0 != 0x3a }))
    guard path.utf8.first == 0x2f, System.kind(of: machine.root + path) == .regular else {
      throw DumpError("this file of curl's options is not there, or its path does not begin at the root", at: path)
    }
    files.append(ImageFile(name: String(path.dropFirst()), content: .copy(machine.root + path)))
  }

  /// Of `http://user@proxy.example:3128/`.
  static func host(_ address: String) -> String {
    var rest = address.utf8[...]
    if let colon = address.utf8.firstIndex(of: 0x3a), address.utf8[colon...].starts(with: "://".utf8) {
      rest = address.utf8[colon...].dropFirst(3)
    }
    rest = rest.prefix { $0 != 0x2f }
    if let at = rest.lastIndex(of: 0x40) { rest = rest[at...].dropFirst() }
    if rest.first == 0x5b { return String(Substring(rest.dropFirst().prefix { $0 != 0x5d })) }
    return String(Substring(rest.prefix { $0 != 0x3a }))
  }
}
