// swift-tools-version: 6.2
// mcore: crash-dump capture for Linux. docs/architecture.md draws how these targets fit together;
// each may import only what its `dependencies` name, and data flows from the top of the list to the bottom.
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

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: relaxed)
}

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
    .default(enabledTraits: ["Libdeflate", "Zstd", "SHA256"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // What the C side gives: system libraries, and the system calls that Glibc's module map lacks.
    .target(name: "CLinux"),
    .target(name: "CChecksum"),
    .systemLibrary(name: "CLibelf"),
    .systemLibrary(name: "CZlib"),
    .systemLibrary(name: "CDeflate"),
    // A static libisal that scripts/codecs.sh makes; `swift build` finds it by the options that the script prints.
    .systemLibrary(name: "CIsal", pkgConfig: "libisal"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
    .systemLibrary(name: "CCrypto"),

    // Foundations: units, errors, checked reading of bytes; then every system call.
    library("DumpBasics", []),
    library("LinuxSystem", ["DumpBasics", "CLinux"]),
    library(
      "CoreEncoding",
      [
        "DumpBasics", "CLibelf", "CZlib",
        .target(name: "CDeflate", condition: .when(traits: ["Libdeflate"])),
        .target(name: "CIsal", condition: .when(traits: ["ISAL"])),
        .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
        .target(name: "CCrypto", condition: .when(traits: ["SHA256"])),
      ]),

    // The flow.
    library("DumpSource", ["DumpBasics", "LinuxSystem", "CoreEncoding"]),
    library("CrashedKernel", ["DumpBasics", "DumpSource"]),
    library("Workers", ["DumpBasics"]),
    // Optimised in debug builds too, with its assertions: tests classify thousands of damaged machines.
    .target(
      name: "PageClasses", dependencies: ["DumpBasics", "DumpSource", "CrashedKernel", "Workers"],
      swiftSettings: strict + [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]),
    library("PageSelection", ["DumpBasics", "CoreEncoding", "DumpSource", "PageClasses"]),
    library("DumpPlan", ["DumpBasics", "CoreEncoding", "DumpSource", "PageSelection", "Workers"]),
    library("CoreFormat", ["DumpBasics", "CoreEncoding"]),
    library("SoftBoot", ["DumpBasics", "LinuxSystem", "CoreEncoding", "CChecksum"]),
    library("DumpTarget", ["DumpBasics", "LinuxSystem", "SoftBoot"]),
    library(
      "Pipeline",
      ["DumpBasics", "CoreEncoding", "DumpSource", "DumpPlan", "CoreFormat", "DumpTarget", "Workers"]),
    library(
      "Capture",
      [
        "DumpBasics", "LinuxSystem", "CoreEncoding", "DumpSource", "CrashedKernel", "PageClasses", "PageSelection", "DumpPlan",
        "CoreFormat", "DumpTarget", "Pipeline", "SoftBoot", "Workers",
      ]),
    library(
      "CaptureInit",
      ["DumpBasics", "LinuxSystem", "Capture", "CoreFormat", "DumpTarget", "PageClasses", "PageSelection", "SoftBoot", "Workers"]),

    library("Arming", ["DumpBasics", "LinuxSystem", "CoreEncoding", "DumpTarget", "SoftBoot"]),

    // The two programs.
    .executableTarget(
      name: "mcore",
      dependencies: [
        "Arming", "DumpBasics", "LinuxSystem", "Capture", "CoreFormat", "PageClasses", "PageSelection",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "mcore-capture", dependencies: ["CaptureInit", "LinuxSystem"], exclude: ["lean.ld"], swiftSettings: strict,
      // There is a limit of 8 MB. lld folds equal functions: 180 kB less; lean.ld leaves out 0.9 MB.
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-executable", "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "-s",
            "-Xlinker", "-T", "-Xlinker", "\(Context.packageDirectory)/Sources/mcore-capture/lean.ld",
          ], .when(configuration: .release))
      ]),

    // Optimised in debug builds too: it makes the memory of whole machines.
    .target(
      name: "TestSupport", dependencies: ["CoreEncoding", "CrashedKernel", "DumpBasics", "DumpSource"],
      path: "Tests/TestSupport", swiftSettings: relaxed + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    // The bare codec, for `make bench`.
    .executableTarget(
      name: "mcore-bench",
      dependencies: [
        "CoreEncoding", "CoreFormat", "CrashedKernel", "DumpBasics", "DumpPlan", "DumpSource", "LinuxSystem", "PageClasses",
        "PageSelection", "TestSupport", "Workers",
      ],
      path: "Tests/CodecBench", swiftSettings: relaxed),
    // Damage to dumps, and what became of them (docs/verification.md): a few hundred in the tests, thousands by
    // `make test-mutations`.
    .target(
      name: "MutationCampaign",
      dependencies: [
        "Capture", "CrashedKernel", "DumpBasics", "DumpSource", "PageClasses", "PageSelection", "TestSupport", "Workers",
      ],
      path: "Tests/MutationCampaign", swiftSettings: relaxed + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    .executableTarget(
      name: "mcore-mutations", dependencies: ["MutationCampaign", "DumpBasics", "DumpSource", "TestSupport"],
      path: "Tests/MutationRunner", swiftSettings: relaxed),
    tests("MutationCampaignTests", ["MutationCampaign", "DumpBasics", "DumpSource", "PageClasses", "TestSupport"]),
    tests("DumpBasicsTests", ["DumpBasics"]),
    tests("CoreEncodingTests", ["CoreEncoding", "DumpBasics", "TestSupport"]),
    tests("CrashedKernelTests", ["CrashedKernel", "DumpSource", "DumpBasics"]),
    tests("SyntheticMachineTests", ["CrashedKernel", "DumpSource", "DumpBasics", "TestSupport"]),
    tests("WorkersTests", ["Workers", "DumpBasics"]),
    tests("PageClassesTests", ["PageClasses", "CrashedKernel", "DumpSource", "DumpBasics", "Workers", "TestSupport"]),
    tests("DumpSourceTests", ["DumpSource", "CoreEncoding", "DumpBasics", "TestSupport"]),
    tests("LinuxSystemTests", ["LinuxSystem", "DumpBasics"]),
    tests(
      "PipelineTests",
      [
        "Pipeline", "DumpPlan", "PageSelection", "CoreFormat", "DumpTarget", "DumpSource", "DumpBasics", "TestSupport", "Workers",
      ]),
    tests(
      "SoftBootTests",
      [
        "SoftBoot", "CoreEncoding", "LinuxSystem", "DumpBasics", "TestSupport", "CChecksum", "PageSelection", "PageClasses",
        "CrashedKernel", "DumpSource", "Workers",
      ]),
    tests(
      "CaptureTests",
      ["Capture", "CoreEncoding", "DumpSource", "DumpBasics", "LinuxSystem", "PageSelection", "SoftBoot", "TestSupport"]),
    tests("ArmingTests", ["Arming", "SoftBoot", "LinuxSystem", "DumpBasics", "TestSupport"]),
    tests("DumpTargetTests", ["DumpTarget", "SoftBoot", "LinuxSystem", "DumpBasics"]),
    tests(
      "PageSelectionTests",
      ["PageSelection", "PageClasses", "CoreEncoding", "CrashedKernel", "DumpSource", "DumpBasics", "TestSupport", "Workers"]),
    tests("CaptureInitTests", ["CaptureInit", "Capture", "DumpBasics", "CoreFormat", "PageSelection", "LinuxSystem"]),
  ],
  swiftLanguageModes: [.v6]
)
