#if Kdump
  internal import CoreEncoding
  internal import DumpBasics
  internal import DumpPlan
  internal import DumpSource

  /// A page's compressed form.
  struct KdumpPage {
    var bytes: [UInt8]
    var flags: UInt32

    /// That of a page of zeros.
    static func zeros(_ compressor: KdumpPageCompressor, _ pageSize: PageSize) -> KdumpPage {
      let page = [UInt8](repeating: 0, count: Int(pageSize.bytes))
      var output = [UInt8](repeating: 0, count: KdumpPageCompressor.bound(page.count))
      let result = unsafe page.withUnsafeBytes { page in
        unsafe output.withUnsafeMutableBytes { unsafe compressor.compress(page, into: $0) }
      }
      return KdumpPage(bytes: Array(output[0..<result.count]), flags: result.flags)
    }
  }

  /// Reads pages that the plan keeps, one at a time or several in one go.
  struct KdumpPageReader: Sendable {
    private let kept: [PhysicalRange]
    private let source: any DumpSource
    let pageSize: PageSize

    init(_ plan: DumpPlan, _ source: any DumpSource) {
      kept = plan.memoryRead
      pageSize = plan.pageSize
      self.source = source
    }

    /// Whether all of `range` is kept, and so can be read at once.
    func isWhole(_ range: PhysicalRange) -> Bool {
      let index = kept.partitionPoint { $0.end <= range.start }
      return index < kept.count && kept[index].start <= range.start && kept[index].end >= range.end
    }

    func read(_ range: PhysicalRange, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      unsafe try source.read(at: PhysicalAddress(range.start), into: buffer)
    }

    /// A page of which the source may have a part alone: the rest is zeros.
    func readPage(_ range: PhysicalRange, into page: UnsafeMutableRawBufferPointer) throws(DumpError) {
      if isWhole(range) { return unsafe try read(range, into: page) }
      unsafe page.initializeMemory(as: UInt8.self, repeating: 0)
      for piece in RangeSet.common(kept, range) {
        let start = Int(piece.start - range.start)
        unsafe try read(piece, into: UnsafeMutableRawBufferPointer(rebasing: page[start..<start + Int(piece.count)]))
      }
    }
  }

  /// The pages of one unit, compressed, waiting for their turn.
  @safe final class KdumpSlot {
    enum Page {
      /// The next bytes of the slot.
      case data(UInt32, flags: UInt32)
      case zero
      case lost
    }

    /// A page with its mark.
    struct Entry {
      var page: Page
      var mark: KdumpPageMark
    }

    private(set) var pages: [Entry] = []
    private(set) var count = 0
    private(set) var zeroPages = 0
    private(set) var unreadable: [PhysicalRange] = []
    private(set) var firstReadError: DumpError?
    private let memory: UnsafeMutableRawBufferPointer

    init(_ pageSize: PageSize, pages: Int) {
      unsafe memory = .allocate(
        byteCount: Int(pageSize.bytes) * (pages - 1) + KdumpPageCompressor.bound(Int(pageSize.bytes)), alignment: 4096)
    }

    deinit { unsafe memory.deallocate() }

    func begin() {
      pages.removeAll(keepingCapacity: true)
      unreadable.removeAll(keepingCapacity: true)
      firstReadError = nil
      count = 0
      zeroPages = 0
    }

    func addZero(_ frame: UInt64, _ zero: KdumpPage) {
      let mark = unsafe zero.bytes.withUnsafeBytes { unsafe KdumpPageMark(of: frame, flags: zero.flags, $0) }
      pages.append(Entry(page: .zero, mark: mark))
      zeroPages += 1
    }

    func addLost(_ frame: UInt64, _ range: PhysicalRange, _ error: DumpError) {
      let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
      pages.append(Entry(page: .lost, mark: unsafe KdumpPageMark(of: frame, flags: 0, nothing)))
      unreadable.append(range)
      if firstReadError == nil { firstReadError = error }
    }

    /// A page takes no more than its size: what does not get smaller is stored.
    func add(_ frame: UInt64, _ page: UnsafeRawBufferPointer, _ compressor: KdumpPageCompressor) {
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count...])
      let (size, flags) = unsafe compressor.compress(page, into: room)
      let mark = unsafe KdumpPageMark(of: frame, flags: flags, UnsafeRawBufferPointer(rebasing: room[0..<size]))
      pages.append(Entry(page: .data(UInt32(size), flags: flags), mark: mark))
      count += size
    }

    func withBytes(_ body: (UnsafeRawBufferPointer) throws(DumpError) -> Void) throws(DumpError) {
      unsafe try body(UnsafeRawBufferPointer(rebasing: memory[0..<count]))
    }
  }

  /// One thread's compressor, and room for the pages of a unit.
  @safe final class KdumpWorker {
    private let compressor: KdumpPageCompressor
    /// What pages of zeros share.
    private let zero: KdumpPage
    private let pageSize: PageSize
    private let memory: UnsafeMutableRawBufferPointer

    init(_ compressor: KdumpPageCompressor, zero: KdumpPage, _ pageSize: PageSize, pages: Int) {
      self.compressor = compressor
      self.zero = zero
      self.pageSize = pageSize
      unsafe memory = .allocate(byteCount: Int(pageSize.bytes) * pages, alignment: 4096)
    }

    deinit { unsafe memory.deallocate() }

    /// `count` frames that follow one another; read in one go where that works, else page by page.
    func add(_ first: UInt64, _ count: UInt64, _ reader: KdumpPageReader, _ slot: KdumpSlot) {
      let size = Int(pageSize.bytes)
      guard let all = PhysicalRange(start: first << pageSize.shift, count: count << pageSize.shift) else { return }
      let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<Int(all.count)])
      let isRead = unsafe reader.isWhole(all) && (try? reader.read(all, into: buffer)) != nil
      for index in 0..<Int(count) {
        let page = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[index * size..<(index + 1) * size])
        guard let range = PhysicalRange(start: all.start + UInt64(index * size), count: pageSize.bytes) else { continue }
        let frame = first + UInt64(index)
        do throws(DumpError) {
          if !isRead { unsafe try reader.readPage(range, into: page) }
          if unsafe isZero(UnsafeRawBufferPointer(page)) {
            slot.addZero(frame, zero)
          } else {
            unsafe slot.add(frame, UnsafeRawBufferPointer(page), compressor)
          }
        } catch {
          slot.addLost(frame, range, error)
        }
      }
    }
  }
#endif
