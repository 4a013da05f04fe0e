#!/bin/sh
# Makes what mcore for arm64 is built with on another machine, once: a Swift SDK (a directory for --swift-sdks-path, with one
# SDK, mcore-arm64) from Debian's arm64 packages. The compiler is the installed one; the static runtime is that of Debian's
# swiftlang, whose modules the compiler builds anew from their interfaces. Foundation has none: arm64/FoundationEssentials.swift
# stands in for what is used of it.
#
# usage: arm64-sdk.sh            prints the directory
#        arm64-sdk.sh --flags    prints the options that make `swift build` use it, but for --traits
#
# Packages are those of the day on which it is made. It is made anew when this file or the compiler changes.
set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suite.sh"

suite=sid
swift=$(dirname "$(realpath "$(command -v swiftc)")")/..
stand_in=$(dirname "$0")/arm64/FoundationEssentials.swift
sdk=$MCORE_CACHE/arm64-sdk-$({ cat "$0" "$stand_in"; swiftc --version 2>/dev/null; } | sha256sum | cut -c 1-12)

make_sdk() {
    # The lock of kernel.sh, which uses the same apt.
    lock_cache kernels
    [ ! -d "$sdk" ] || return 0
    scratch=$(mktemp -d "$MCORE_CACHE/.tmp-arm64-sdk-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    use_suite "$suite" arm64
    bundle=$scratch/sdk/mcore-arm64.artifactbundle
    inside=$bundle/sdk
    mkdir -p "$inside" "$scratch/root/usr/lib"
    ln -s usr/lib "$scratch/root/lib"
    # The version of gcc whose start files and libgcc are taken: the newest that has all of them.
    gcc=$(apt-cache pkgnames libstdc++- | sed -n 's/^libstdc++-\([0-9]*\)-dev$/\1/p' | sort -n | tail -n 1)
    for package in libc6 libc6-dev linux-libc-dev libgcc-s1 "libgcc-$gcc-dev" "libstdc++-$gcc-dev" libstdc++6 \
        libelf-dev zlib1g-dev libzstd-dev libdeflate-dev libssl-dev liblzo2-dev libfuse3-dev; do
        fetch_package "$package" || die "could not download $package"
    done
    fetch_package swiftlang --wildcards './usr/libexec/swift/lib/swift*' || die "could not download swiftlang"
    mv "$scratch/root" "$inside/sysroot"
    runtime=$inside/sysroot/usr/libexec/swift/lib
    # Modules in binary form are another compiler's; where there is an interface, this one builds them.
    find "$runtime/swift_static" "$runtime/swift" -name '*.swiftmodule' -type d | while read -r module; do
        if ls "$module"/*.swiftinterface >/dev/null 2>&1; then find "$module" -name '*.swiftmodule' -type f -delete; fi
    done
    find "$runtime/swift_static" "$runtime/swift" -name '*.swiftinterface' | while read -r interface; do
        rm -f "${interface%.swiftinterface}.swiftmodule"
    done
    for tree in swift swift_static; do
        rm -rf "${runtime:?}/$tree/clang"
        ln -s "$swift/lib/swift/clang" "$runtime/$tree/clang"
        ln -sfn "../libexec/swift/lib/$tree" "$inside/sysroot/usr/lib/$tree"
    done
    mkdir "$scratch/sdk/stand-in"
    swiftc -target aarch64-unknown-linux-gnu -sdk "$inside/sysroot" -resource-dir "$runtime/swift_static" -static-stdlib \
        -parse-as-library -wmo -O -module-name FoundationEssentials -module-link-name mcoreFoundationEssentials \
        -emit-module -emit-module-path "$scratch/sdk/stand-in/FoundationEssentials.swiftmodule" \
        -emit-library -static -o "$scratch/sdk/stand-in/libmcoreFoundationEssentials.a" "$stand_in" >&2
    cat >"$bundle/info.json" <<JSON
{"schemaVersion": "1.0", "artifacts": {"mcore-arm64": {"type": "swiftSDK", "version": "1", "variants": [{"path": "sdk"}]}}}
JSON
    cat >"$inside/swift-sdk.json" <<JSON
{"schemaVersion": "4.0", "targetTriples": {"aarch64-unknown-linux-gnu": {
  "sdkRootPath": "sysroot",
  "swiftResourcesPath": "sysroot/usr/libexec/swift/lib/swift_static",
  "swiftStaticResourcesPath": "sysroot/usr/libexec/swift/lib/swift_static",
  "includeSearchPaths": ["sysroot/usr/include", "sysroot/usr/include/aarch64-linux-gnu"],
  "librarySearchPaths": ["sysroot/usr/lib/aarch64-linux-gnu"],
  "toolsetPaths": ["toolset.json"]}}}
JSON
    tools=$sdk/mcore-arm64.artifactbundle/sdk/sysroot/usr/lib/gcc/aarch64-linux-gnu/$gcc
    cat >"$inside/toolset.json" <<JSON
{"schemaVersion": "1.0",
 "swiftCompiler": {"extraCLIOptions": ["-use-ld=lld", "-Xclang-linker", "--gcc-install-dir=$tools"]},
 "cCompiler": {"extraCLIOptions": ["--gcc-install-dir=$tools"]},
 "cxxCompiler": {"extraCLIOptions": ["--gcc-install-dir=$tools"]}}
JSON
    # Or the libraries of this machine would be found.
    mkdir -p "$scratch/sdk/pkgconfig"
    for library in libelf:elf zlib:z libdeflate:deflate libzstd:zstd libcrypto:crypto lzo2:lzo2 fuse3:fuse3; do
        sysroot=$sdk/mcore-arm64.artifactbundle/sdk/sysroot
        cat >"$scratch/sdk/pkgconfig/${library%:*}.pc" <<PC
Name: ${library%:*}
Description: of arm64
Version: 1
Cflags: -I$sysroot/usr/include
Libs: -L$sysroot/usr/lib/aarch64-linux-gnu -l${library#*:}
PC
    done
    for old in "$MCORE_CACHE"/arm64-sdk-*; do rm -rf "$old"; done
    mv "$scratch/sdk" "$sdk"
}

[ -d "$sdk" ] || make_sdk
case "${1:-}" in
'') echo "$sdk" ;;
--flags)
    echo "--swift-sdks-path $sdk --swift-sdk mcore-arm64 --pkg-config-path $sdk/pkgconfig -Xswiftc -I$sdk/stand-in -Xlinker -L$sdk/stand-in"
    ;;
*) die "usage: arm64-sdk.sh [--flags]" ;;
esac
