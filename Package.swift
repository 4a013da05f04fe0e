// swift-tools-version: 6.2
// mcore: crash-dump capture for Linux. docs/architecture.md draws how these targets fit together.
// Each target may import only what its `dependencies` name. Data flows from the top of the list to the bottom.
// The rooms below are the directories in Sources/ and Tests/, in the same order.
import PackageDescription

/// Rules for every Swift target: language mode 6 comes with the tools version, warnings are errors,
/// and every use of unsafe memory has to be marked with `unsafe`.
let strict: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// For tests, which may use Foundation and force what they know.
let relaxed: [SwiftSetting] = [.treatAllWarnings(as: .error), .enableUpcomingFeature("InternalImportsByDefault")]

/// The directories of Sources/.
enum Room: String {
  case libraries = "Libraries"
  case foundations = "Foundations"
  case dump = "Dump"
  case delivery = "Delivery"
  case operations = "Operations"
  case programs = "Programs"

  func path(_ name: String) -> String { "Sources/\(rawValue)/\(name)" }

  func target(_ name: String, _ dependencies: [Target.Dependency], settings: [SwiftSetting] = strict) -> Target {
    .target(name: name, dependencies: dependencies, path: path(name), swiftSettings: settings)
  }

  func systemLibrary(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: path(name), pkgConfig: pkgConfig)
  }
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, path: "Tests/Unit/\(name)", swiftSettings: relaxed)
}

/// It needs libFuzzer: only scripts/fuzz.sh builds it.
let fuzzing: [Target] =
  Context.environment["MCORE_FUZZ"] == nil
  ? []
  : [
    .executableTarget(
      name: "mcore-fuzz", dependencies: ["ReaderFuzz"], path: "Tests/Campaigns/FuzzRunner",
      swiftSettings: relaxed, linkerSettings: [.unsafeFlags(["-use-ld=lld"])])
  ]

/// Apart from the package, or Swift 6.2 takes too long to find the types of both at once.
let targets: [Target] = [
  // Libraries: what is written in C. System libraries, and the system calls that Glibc's module map lacks.
  .target(name: "CLinux", path: Room.libraries.path("CLinux")),
  .target(name: "CChecksum", path: Room.libraries.path("CChecksum")),
  Room.libraries.systemLibrary("CLibelf"),
  Room.libraries.systemLibrary("CZlib"),
  Room.libraries.systemLibrary("CDeflate"),
  // A static libisal that scripts/codecs.sh makes. `swift build` finds it by the options that the script prints.
  Room.libraries.systemLibrary("CIsal", pkgConfig: "libisal"),
  Room.libraries.systemLibrary("CZstd", pkgConfig: "libzstd"),
  Room.libraries.systemLibrary("CCrypto"),
  Room.libraries.systemLibrary("CLzo"),
  Room.libraries.systemLibrary("CSnappy"),
  .target(name: "CFuseView", path: Room.libraries.path("CFuseView")),

  // Foundations: units, errors, checked reading of bytes; every system call; encodings; threads.
  Room.foundations.target("DumpBasics", []),
  Room.foundations.target("LinuxSystem", ["DumpBasics", "CLinux"]),
  Room.foundations.target(
    "CoreEncoding",
    [
      "DumpBasics", "CLibelf", "CZlib",
      .target(name: "CDeflate", condition: .when(traits: ["Libdeflate"])),
      .target(name: "CIsal", condition: .when(traits: ["ISAL"])),
      .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
      .target(name: "CCrypto", condition: .when(traits: ["SHA256"])),
      .target(name: "CLzo", condition: .when(traits: ["LZO"])),
      .target(name: "CSnappy", condition: .when(traits: ["Snappy"])),
    ]),
  Room.foundations.target("Workers", ["DumpBasics"]),

  // Dump: the way of memory from the source to the bytes of a dump file.
  Room.dump.target("DumpSource", ["DumpBasics", "LinuxSystem", "CoreEncoding"]),
  Room.dump.target("CrashedKernel", ["DumpBasics", "DumpSource"]),
  // Optimised in debug builds too, with its assertions: tests classify thousands of damaged machines.
  Room.dump.target(
    "PageClasses", ["DumpBasics", "DumpSource", "CrashedKernel", "Workers"],
    settings: strict + [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]),
  // Optimised in debug builds too: it goes through megabytes of names and types.
  Room.dump.target(
    "KernelReport", ["DumpBasics", "CoreEncoding", "DumpSource", "CrashedKernel"],
    settings: strict + [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]),
  Room.dump.target("PageSelection", ["DumpBasics", "CoreEncoding", "DumpSource", "PageClasses"]),
  Room.dump.target("DumpPlan", ["DumpBasics", "CoreEncoding", "DumpSource", "PageSelection", "Workers"]),
  Room.dump.target("CoreFormat", ["DumpBasics", "CoreEncoding"]),
  Room.dump.target(
    "Pipeline",
    ["DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "DumpPlan", "CoreFormat", "DumpTarget", "Workers"]),

  // Delivery: where a dump goes.
  Room.delivery.target("SoftBoot", ["DumpBasics", "LinuxSystem", "CoreEncoding", "CChecksum"]),
  Room.delivery.target("DumpTarget", ["DumpBasics", "LinuxSystem", "CoreEncoding", "SoftBoot", "Workers"]),

  // Operations: what a person asks for, made of the stages above.
  Room.operations.target(
    "Capture",
    [
      "DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "CrashedKernel", "PageClasses", "PageSelection", "DumpPlan",
      "CoreFormat", "DumpTarget", "Pipeline", "SoftBoot", "Workers",
    ]),
  // What is read of dumps that are there, and what explains a crash.
  Room.operations.target(
    "Reading",
    [
      "DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "CrashedKernel", "KernelReport", "PageClasses", "DumpTarget",
      "Capture", "Workers",
    ]),
  Room.operations.target(
    "CaptureInit",
    [
      "DumpBasics", "LinuxSystem", "DumpSource", "CrashedKernel", "Capture", "CoreFormat", "DumpTarget", "PageClasses",
      "PageSelection", "Reading", "SoftBoot", "Workers",
    ]),
  Room.operations.target(
    "Arming",
    [
      "Capture", "CaptureInit", "Reading", "DumpBasics", "LinuxSystem", "CoreEncoding", "CoreFormat", "DumpTarget",
      "PageSelection", "SoftBoot",
    ]),

  Room.operations.target(
    "Mounting",
    [
      "DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "CrashedKernel", "KernelReport", "Capture",
      .target(name: "CFuseView", condition: .when(traits: ["FUSE"])),
    ]),

  // Programs of others on a dump.
  Room.operations.target(
    "Debugging",
    ["DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "CrashedKernel", "KernelReport", "Mounting"]),

  // Programs.
  .executableTarget(
    name: "mcore",
    dependencies: [
      "Arming", "DumpBasics", "LinuxSystem", "Capture", "CoreEncoding", "CoreFormat", "Debugging", "DumpTarget",
      "KernelReport", "Mounting",
      "PageClasses", "PageSelection", "Reading",
      .product(name: "ArgumentParser", package: "swift-argument-parser"),
    ],
    path: Room.programs.path("mcore"), swiftSettings: strict,
    // One file that runs on any Linux: no library of the system is needed, and no symbols are in it.
    linkerSettings: [
      .unsafeFlags(
        ["-static-executable", "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "-s"], .when(configuration: .release))
    ]),
  .executableTarget(
    name: "mcore-capture", dependencies: ["CaptureInit", "LinuxSystem"], path: Room.programs.path("mcore-capture"),
    exclude: ["lean.ld"], swiftSettings: strict,
    // There is a limit of 8 MB. lld folds equal functions: 180 kB less; lean.ld leaves out 0.9 MB.
    linkerSettings: [
      .unsafeFlags(
        [
          "-static-executable", "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "-s",
          "-Xlinker", "-T", "-Xlinker", "\(Context.packageDirectory)/Sources/Programs/mcore-capture/lean.ld",
        ], .when(configuration: .release))
    ]),

  // Tests: support, campaigns, benches, then a test target for each module. Tests/Kernels is Python.
  // Optimised in debug builds too: it makes the memory of whole machines.
  .target(
    name: "TestSupport", dependencies: ["Capture", "CoreEncoding", "CrashedKernel", "DumpBasics", "DumpSource"],
    path: "Tests/Support/TestSupport", swiftSettings: relaxed + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
  // The bare codec, for `make bench`.
  .executableTarget(
    name: "mcore-bench",
    dependencies: [
      "CoreEncoding", "CoreFormat", "CrashedKernel", "DumpBasics", "DumpPlan", "DumpSource", "LinuxSystem", "PageClasses",
      "PageSelection", "TestSupport", "Workers",
    ],
    path: "Tests/Benches/CodecBench", swiftSettings: relaxed),
  // Damage to dumps, and what became of them (docs/verification.md): a few hundred in the tests, thousands by
  // `make test-mutations`.
  .target(
    name: "MutationCampaign",
    dependencies: [
      "Capture", "CrashedKernel", "DumpBasics", "DumpSource", "PageClasses", "PageSelection", "TestSupport", "Workers",
    ],
    path: "Tests/Campaigns/MutationCampaign", swiftSettings: relaxed + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
  // Damage to whole files: headers, notes, single bytes, torn sectors, ends that are missing.
  .target(
    name: "FileCampaign", dependencies: ["Capture", "DumpBasics", "DumpSource", "TestSupport"],
    path: "Tests/Campaigns/FileCampaign", swiftSettings: relaxed + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
  // Files that may be anything, for libFuzzer and for a test.
  .target(
    name: "ReaderFuzz", dependencies: ["DumpBasics", "DumpSource"], path: "Tests/Campaigns/ReaderFuzz",
    exclude: ["corpus", "make-corpus.py"], swiftSettings: relaxed),
  tests("ReaderFuzzTests", ["ReaderFuzz"]),
  tests("FileCampaignTests", ["FileCampaign", "Capture", "CoreFormat", "DumpBasics", "DumpSource", "TestSupport"]),
  .executableTarget(
    name: "mcore-mutations", dependencies: ["FileCampaign", "MutationCampaign", "DumpBasics", "DumpSource", "TestSupport"],
    path: "Tests/Campaigns/MutationRunner", swiftSettings: relaxed),
  tests(
    "MutationCampaignTests", ["MutationCampaign", "CrashedKernel", "DumpBasics", "DumpSource", "PageClasses", "TestSupport"]),
  tests("DumpBasicsTests", ["DumpBasics"]),
  tests("CoreEncodingTests", ["CoreEncoding", "DumpBasics", "TestSupport"]),
  tests("CrashedKernelTests", ["CrashedKernel", "DumpSource", "DumpBasics"]),
  tests("KernelReportTests", ["KernelReport", "CoreEncoding", "CrashedKernel", "DumpSource", "DumpBasics"]),
  tests("SyntheticMachineTests", ["CrashedKernel", "DumpSource", "DumpBasics", "TestSupport"]),
  tests("WorkersTests", ["Workers", "DumpBasics"]),
  tests("PageClassesTests", ["PageClasses", "CrashedKernel", "DumpSource", "DumpBasics", "Workers", "TestSupport"]),
  tests("DumpSourceTests", ["DumpSource", "LinuxSystem", "CoreEncoding", "DumpBasics", "TestSupport"]),
  tests("LinuxSystemTests", ["LinuxSystem", "DumpBasics"]),
  tests(
    "PipelineTests",
    [
      "Pipeline", "DumpPlan", "PageSelection", "CoreEncoding", "CoreFormat", "DumpTarget", "DumpSource", "DumpBasics",
      "TestSupport", "Workers",
    ]),
  tests(
    "SoftBootTests",
    [
      "SoftBoot", "CoreEncoding", "LinuxSystem", "DumpBasics", "TestSupport", "CChecksum", "PageSelection", "PageClasses",
      "CrashedKernel", "DumpSource", "Workers",
    ]),
  tests(
    "CaptureTests",
    [
      "Capture", "CoreEncoding", "CoreFormat", "PageClasses", "DumpSource", "DumpBasics", "LinuxSystem", "PageSelection",
      "Reading", "SoftBoot",
      "TestSupport",
    ]),
  tests(
    "ReadingTests",
    ["Reading", "Capture", "CoreEncoding", "DumpSource", "DumpBasics", "LinuxSystem", "PageSelection", "TestSupport"]),
  tests(
    "MountingTests",
    ["Mounting", "LinuxSystem", "Capture", "CoreEncoding", "CoreFormat", "DumpSource", "DumpBasics", "TestSupport"]),
  tests(
    "DebuggingTests",
    ["Debugging", "KernelReport", "CrashedKernel", "CoreEncoding", "DumpSource", "DumpBasics", "LinuxSystem", "TestSupport"]),
  tests(
    "ArmingTests", ["Arming", "Capture", "CaptureInit", "DumpTarget", "SoftBoot", "LinuxSystem", "DumpBasics", "TestSupport"]),
  tests("DumpTargetTests", ["DumpTarget", "SoftBoot", "LinuxSystem", "DumpBasics", "Workers"]),
  tests(
    "PageSelectionTests",
    ["PageSelection", "PageClasses", "CoreEncoding", "CrashedKernel", "DumpSource", "DumpBasics", "TestSupport", "Workers"]),
  tests(
    "CaptureInitTests", ["CaptureInit", "Capture", "DumpBasics", "DumpTarget", "CoreFormat", "PageSelection", "LinuxSystem"]),
]

let package = Package(
  name: "mcore",
  products: [
    .executable(name: "mcore", targets: ["mcore"]),
    .executable(name: "mcore-capture", targets: ["mcore-capture"]),
  ],
  traits: [
    // libelf and zlib are always there; everything faster or further is a trait on top.
    .trait(name: "Libdeflate", description: "Compress and inflate BGZF blocks with libdeflate instead of zlib."),
    .trait(name: "ISAL", description: "Compress BGZF blocks with ISA-L, which is faster still (the Makefile turns it on)."),
    .trait(name: "Zstd", description: "The format elf.zst, by libzstd."),
    .trait(name: "SHA256", description: "SHA-256 of the finished files in dump.json, by OpenSSL's libcrypto."),
    .trait(
      name: "Kdump",
      description: "Read and write kdump-compressed files, read flattened ones and LKCD's (not in mcore-capture)."),
    .trait(name: "LZO", description: "Read kdump-compressed files with lzo pages, by liblzo2."),
    .trait(name: "Snappy", description: "Read kdump-compressed files with snappy pages, by libsnappy."),
    .trait(
      name: "Streams", description: "Read dumps in gzip or zstd that nothing leads into the middle of (not in mcore-capture)."),
    .trait(name: "FUSE", description: "mcore mount, by libfuse 3."),
    .default(enabledTraits: ["Libdeflate", "Zstd", "SHA256", "Kdump", "LZO", "Snappy", "Streams", "FUSE"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: targets + fuzzing,
  swiftLanguageModes: [.v6]
)
