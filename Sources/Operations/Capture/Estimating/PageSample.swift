internal import CoreEncoding
internal import CoreFormat
internal import CrashedKernel
internal import DumpBasics
internal import DumpSource
internal import LinuxSystem
internal import PageClasses

/// Pages of one class, spread over all of it, and what they came to in each format.
struct PageSample {
  var pages: UInt64 = 0
  /// Nanoseconds that reading them took.
  var reading: UInt64 = 0
  /// By format: bytes of a disk, and nanoseconds of encoding.
  var written: [OutputFormat: (bytes: UInt64, time: UInt64)] = [:]
}

/// Reads and encodes samples. What can't be read is passed over.
struct PageSampler {
  /// Pieces of a class; each as many pages as a block holds, at most.
  private static let pieceCount: UInt64 = 64

  private let source: any DumpSource
  private let pageSize: PageSize
  private let formats: [OutputFormat]

  init(_ kernel: CrashedKernel, _ formats: [OutputFormat]) {
    (source, pageSize, self.formats) = (kernel.source, kernel.pageSize, formats)
  }

  func samples(_ classes: PageClassification) throws(DumpError) -> [PageClass: PageSample] {
    var samples: [PageClass: PageSample] = [:]
    for (pageClass, frames) in picked(classes) { samples[pageClass] = try sample(frames) }
    return samples
  }

  /// Page frames, ascending. Which they are depends on the dump alone.
  private func picked(_ classes: PageClassification) -> [PageClass: [UInt64]] {
    let perPiece = max(1, UInt64(BGZF.blockSize) >> pageSize.shift)
    var frames: [PageClass: [UInt64]] = [:]
    // Of each class: pages that have gone by, and the one at which the next piece begins.
    var passed: [PageClass: UInt64] = [:]
    var next: [PageClass: UInt64] = [:]
    for run in classes.runs {
      let total = classes.counts[run.pageClass]
      let step = max(perPiece, total / PageSampler.pieceCount)
      let before = passed[run.pageClass, default: 0]
      let count = UInt64(run.range.count)
      passed[run.pageClass] = before + count
      var wanted = next[run.pageClass, default: 0]
      while wanted < before + count {
        let first = run.range.lowerBound + (max(wanted, before) - before)
        frames[run.pageClass, default: []] += first..<min(first + perPiece, run.range.upperBound)
        wanted += step
      }
      next[run.pageClass] = wanted
    }
    return frames
  }

  private func sample(_ frames: [UInt64]) throws(DumpError) -> PageSample {
    var sample = PageSample()
    let size = Int(pageSize.bytes)
    let start = System.monotonicNanoseconds
    var blocks: [[UInt8]] = []
    var block: [UInt8] = []
    for frame in frames {
      guard let page = try? source.bytes(at: PhysicalAddress(frame << pageSize.shift), count: size) else { continue }
      sample.pages += 1
      block += page
      if block.count + size > max(BGZF.blockSize, size) {
        blocks.append(block)
        block = []
      }
    }
    if !block.isEmpty { blocks.append(block) }
    sample.reading = System.monotonicNanoseconds - start
    for format in formats {
      let start = System.monotonicNanoseconds
      let bytes = format.isPaged ? try paged(blocks, format, size) : try streamed(blocks, format)
      sample.written[format] = (bytes, System.monotonicNanoseconds - start)
    }
    return sample
  }

  private func streamed(_ blocks: [[UInt8]], _ format: OutputFormat) throws(DumpError) -> UInt64 {
    let encoder = try format.makeEncoder()
    let output = EncodedGroup()
    var bytes: UInt64 = 0
    for block in blocks {
      // Pages of 64 KiB are more than a block.
      for start in stride(from: 0, to: block.count, by: BGZF.blockSize) {
        let piece = Array(block[start..<min(block.count, start + BGZF.blockSize)])
        unsafe try piece.lent { (memory) throws(DumpError) in unsafe encoder.encode(group: memory, into: output) }
        for case .bytes(let count) in output.parts { bytes += UInt64(count) }
      }
    }
    return bytes
  }

  private func paged(_ blocks: [[UInt8]], _ format: OutputFormat, _ size: Int) throws(DumpError) -> UInt64 {
    #if Kdump
      #if Zstd
        let compressor = try KdumpPageCompressor(format == .kdumpZstd ? .zstd : .zlib)
      #else
        let compressor = try KdumpPageCompressor(.zlib)
      #endif
      var bytes: UInt64 = 0
      for block in blocks {
        for start in stride(from: 0, to: block.count, by: size) {
          let page = Array(block[start..<start + size])
          // A descriptor for each page; all pages of zeros share one.
          bytes += 24
          unsafe try page.lent { (memory) throws(DumpError) in
            if unsafe isZero(memory) { return }
            _ = unsafe try [UInt8].filled(KdumpPageCompressor.bound(size)) { (room) throws(DumpError) in
              bytes += UInt64(unsafe compressor.compress(memory, into: room).count)
            }
          }
        }
      }
      return bytes
    #else
      throw DumpError(.unsupported, "\(format.rawValue) is not in this build")
    #endif
  }
}
