#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// The pages of a kdump-compressed file, inflated from any number of threads.
  final class KdumpPages: PageStore {
    let layout: KdumpLayout
    let content: any Content
    /// The frames that have a descriptor.
    let runs: FrameRuns
    /// Whether every descriptor says of which page it is: in files of ours.
    let hasMarks: Bool
    let recent = InflatedBlocks(limit: 64)
    private let inflaters = IdlePool<KdumpPageInflater>()
    /// Pages whose descriptors are looked at in one go.
    private static let batch: UInt64 = 64
    /// The data of pages that lie behind one another is read at once, up to so many bytes.
    private static let windowLimit: UInt64 = 1 << 20

    init(_ layout: KdumpLayout, _ content: any Content, _ runs: FrameRuns, hasMarks: Bool = false) {
      self.hasMarks = hasMarks
      self.layout = layout
      self.content = content
      self.runs = runs
    }

    var pageSize: PageSize { layout.pageSize }

    func place(of frame: UInt64) -> FrameRuns.Run? { runs.run(of: frame) }

    func together(_ frame: UInt64, _ run: FrameRuns.Run, atMost most: UInt64) -> UInt64 {
      min(most, run.end - frame, KdumpPages.batch)
    }

    /// `count` descriptors from the one with `number` on; fewer where the file ends.
    func descriptors(_ number: UInt64, _ count: UInt64) throws(DumpError) -> [KdumpPageDescriptor] {
      let size = UInt64(KdumpPageDescriptor.size)
      let offset = layout.descriptors + number * size
      let present = content.size > offset ? (content.size - offset) / size : 0
      let bytes = try content.bytes(at: offset, count: Int(min(count, present) * size))
      return KdumpPageDescriptor.decode(bytes, layout.header.identity.byteOrder)
    }

    /// Descriptors that the file has room for.
    var descriptorRoom: UInt64 {
      (content.size - min(content.size, layout.descriptors)) / UInt64(KdumpPageDescriptor.size)
    }

    /// Descriptors that `runs` asks for and the file has.
    var presentDescriptors: UInt64 { min(runs.count, descriptorRoom) }

    /// Whether a descriptor has a mark, and it is that of the descriptor and its data.
    func isMarkRight(_ place: KdumpPageDescriptor) -> Bool {
      guard let mark = place.mark, UInt64(place.count) <= pageSize.bytes,
        let data = place.offset == 0 ? [] : try? content.bytes(at: place.offset, count: Int(place.count))
      else { return false }
      return unsafe data.withUnsafeBytes { unsafe mark.fits(flags: place.flags, $0) }
    }

    func inflate(
      _ frames: Range<UInt64>, _ run: FrameRuns.Run, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      let frame = frames.lowerBound
      let places = try descriptors(run.before + (frame - run.start), UInt64(frames.count))
      guard places.count == frames.count else {
        throw DumpError("page descriptors were in the part of the file that is cut off", at: "\(content.name), pfn \(hex(frame))")
      }
      let order = layout.header.identity.byteOrder
      try inflaters.lend { () throws(DumpError) in
        try KdumpPageInflater(order)
      } _: { (inflater) throws(DumpError) in
        unsafe try inflate(frame, places, inflater, into: buffer)
      }
    }

    /// The pages from `frame` on, at `places`.
    private func inflate(
      _ frame: UInt64, _ places: [KdumpPageDescriptor], _ inflater: KdumpPageInflater,
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      var window = Window()
      let size = Int(pageSize.bytes)
      for (index, place) in places.enumerated() {
        let page = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[index * size..<(index + 1) * size])
        // Pages of zeros share one place: the copy of one of them is at hand.
        if let shared = window.shared, shared.place.isSamePlace(place) {
          let earlier = shared.index * size
          unsafe page.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[earlier..<earlier + size]))
          try unsafe shared.data.lent { (data) throws(DumpError) in
            try unsafe checkMark(place, data, frame + UInt64(index))
          }
          continue
        }
        try check(place, frame + UInt64(index))
        let isInWindow = window.holds(place)
        if !isInWindow, place.offset >= window.end || window.bytes.isEmpty { try fill(&window, places[index...]) }
        let name = content.name
        let number = frame + UInt64(index)
        let slice: ArraySlice<UInt8>
        if window.holds(place) {
          let start = Int(place.offset - window.start)
          slice = window.bytes[start..<start + Int(place.count)]
        } else {
          // Before the window: a place that pages share.
          slice = try content.bytes(at: place.offset, count: Int(place.count))[...]
          window.shared = Window.Shared(place: place, index: index, data: slice)
        }
        unsafe try slice.lent { (data) throws(DumpError) in
          try unsafe checkMark(place, data, number)
          unsafe try inflater.inflate(data, flags: place.flags, into: page, at: "\(name), pfn \(hex(number))")
        }
      }
    }

    /// What a descriptor claims has to be in the file, and no larger than a page.
    private func check(_ place: KdumpPageDescriptor, _ frame: UInt64) throws(DumpError) {
      let name = "\(content.name), pfn \(hex(frame))"
      guard place.offset != 0 else {
        throw DumpError("the page was lost when the file was written", at: name)
      }
      guard place.count > 0, UInt64(place.count) <= pageSize.bytes else {
        throw DumpError("page data of \(place.count) bytes", at: name, advice: "the file is damaged")
      }
      guard place.offset <= content.size, UInt64(place.count) <= content.size - place.offset else {
        throw DumpError("page data at \(hex(place.offset)) is in the part of the file that is cut off", at: name)
      }
    }

    /// A descriptor that says of which page it is has to be this one's, with its data.
    private func checkMark(
      _ place: KdumpPageDescriptor, _ data: UnsafeRawBufferPointer, _ frame: UInt64
    ) throws(DumpError) {
      guard hasMarks else { return }
      guard let mark = place.mark, mark.frame == UInt32(truncatingIfNeeded: frame), unsafe mark.fits(flags: place.flags, data)
      else {
        throw DumpError(
          "damaged page: its checksum does not fit, or its descriptor is another page's",
          at: "\(content.name), pfn \(hex(frame))", advice: "other pages can be read")
      }
    }

    /// A part of the file that holds the data of pages which lie behind one another.
    private struct Window {
      var start: UInt64 = 0
      var bytes: [UInt8] = []
      var end: UInt64 { start + UInt64(bytes.count) }
      /// The place before the window that was read last.
      var shared: Shared?
      struct Shared {
        var place: KdumpPageDescriptor
        /// The page of the buffer that has its content.
        var index: Int
        var data: ArraySlice<UInt8>
      }

      func holds(_ place: KdumpPageDescriptor) -> Bool {
        place.offset >= start && place.offset <= end && UInt64(place.count) <= end - place.offset
      }
    }

    /// Reads from the place of the first of `places`, which was checked, as far as others follow it closely.
    private func fill(_ window: inout Window, _ places: ArraySlice<KdumpPageDescriptor>) throws(DumpError) {
      guard let first = places.first else { return }
      window.start = first.offset
      var end = first.offset + UInt64(first.count)
      for place in places.dropFirst() where place.offset >= first.offset {
        let (stop, overflow) = place.offset.addingReportingOverflow(UInt64(place.count))
        guard !overflow, UInt64(place.count) <= pageSize.bytes, stop <= content.size, place.offset <= end + pageSize.bytes,
          stop - first.offset <= KdumpPages.windowLimit
        else { break }
        end = max(end, stop)
      }
      window.bytes = try content.bytes(at: window.start, count: Int(end - window.start))
    }
  }
#endif
