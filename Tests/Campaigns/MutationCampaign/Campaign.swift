import Capture
import DumpBasics
import Foundation
import PageClasses
import Synchronization
import TestSupport

/// Mutations of one image, judged on all CPUs.
public struct Campaign: Sendable {
  public var threads = ProcessInfo.processInfo.activeProcessorCount
  /// Seconds for one mutation; one that takes longer hangs.
  public var patience = 120.0
  /// Every so many-th dump is written to a file too, and verified; 0 for none.
  public var writeEvery = 50
  /// Where to.
  public var directory = "/dev/shm"

  public init() {}

  /// Judges mutations `numbers`. One that does not hit what was consulted is drawn again under another
  /// number.
  public func run(_ image: CampaignImage, _ numbers: Range<Int>, progress: @escaping @Sendable (Int) -> Void = { _ in })
    -> CampaignTotals
  {
    let shared = Mutex(Shared(next: numbers.lowerBound))
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      while let number = shared.withLock({ $0.take(numbers.upperBound) }) {
        guard let mutation = image.draw(number) else {
          shared.withLock { $0.totals.notDrawn += 1 }
          continue
        }
        let watch = Watch(patience, "\(image.name), \(mutation)")
        var judgement = image.judge(mutation)
        if writeEvery > 0, number % writeEvery == 0 { write(image, mutation, number, &judgement) }
        watch.end()
        shared.withLock { $0.totals.add(judgement) }
        progress(number)
      }
    }
    return shared.withLock { $0.totals }
  }

  private struct Shared {
    var next: Int
    var totals = CampaignTotals()
    mutating func take(_ count: Int) -> Int? {
      if next >= count { return nil }
      next += 1
      return next - 1
    }
  }

  /// A whole dump of level kern, read again.
  private func write(_ image: CampaignImage, _ mutation: Mutation, _ number: Int, _ judgement: inout Judgement) {
    let path = "\(directory)/mcore-mutation-\(ProcessInfo.processInfo.processIdentifier)-\(number).elf"
    defer { unlink(path) }
    var request = SaveRequest(source: image.name, targets: [path])
    request.level = .kern
    request.format = .elf
    request.threads = 1
    do {
      let saved = try save(request, from: MutatedSource(image.source, mutation), QuietReporter())
      let verdict = try verify(saved.path, threads: 1, QuietReporter())
      if saved.status == .cut || verdict.verdict != .whole {
        judgement.violations.append("dump: \(saved.status), \(verdict.lines)")
      }
      judgement.wroteDump = true
    } catch { judgement.violations.append("no dump: \(error)") }
  }
}

extension CampaignImage {
  /// Mutation `number`, or a later one of the same kind where that hits nothing that counts.
  func draw(_ number: Int) -> Mutation? {
    let kinds = Mutation.Kind.allCases
    for attempt in 0..<64 {
      let mutation = mutator.mutation(number + attempt * 1_000_003, kinds[number % kinds.count])
      if isHit(by: mutation) { return mutation }
    }
    return nil
  }
}

/// Ends the program when something does not end.
private final class Watch {
  private let timer: any DispatchSourceTimer
  init(_ seconds: Double, _ what: String) {
    timer = DispatchSource.makeTimerSource(queue: .global(qos: .userInteractive))
    timer.schedule(deadline: .now() + seconds)
    timer.setEventHandler {
      FileHandle.standardError.write(Data("hangs for \(seconds) s: \(what)\n".utf8))
      exit(1)
    }
    timer.activate()
  }
  func end() { timer.cancel() }
}
