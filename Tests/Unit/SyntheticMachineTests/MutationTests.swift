import DumpBasics
import DumpSource
import TestSupport
import Testing

@Suite struct Mutations {
  static let machine = SyntheticMachine(.small(.v6_12))

  @Test func sameSeedSameDamage() throws {
    let first = try Mutator(Mutations.machine, seed: 1)
    let again = try Mutator(Mutations.machine, seed: 1)
    for number in 0..<48 {
      #expect(first.mutation(number).description == again.mutation(number).description)
      #expect(first.mutation(number).patches == again.mutation(number).patches)
    }
    let other = try Mutator(Mutations.machine, seed: 2)
    #expect((0..<48).contains { first.mutation($0).patches != other.mutation($0).patches })
  }

  @Test(arguments: Mutation.Kind.allCases, [KernelGeneration.v5_10, .v6_6, .v7_2])
  func eachChangesWhatItSays(_ kind: Mutation.Kind, _ generation: KernelGeneration) throws {
    let machine = SyntheticMachine(.small(generation, seed: 5))
    let mutator = try Mutator(machine, seed: 9)
    for number in 0..<12 {
      let mutation = mutator.mutation(number, kind)
      #expect(!mutation.isEmpty, "\(mutation)")
      let damaged = MutatedSource(machine, mutation)
      for patch in mutation.patches {
        let bytes = try? damaged.bytes(at: patch.address, count: patch.bytes.count)
        #expect(try machine.bytes(at: patch.address, count: patch.bytes.count) != patch.bytes, "\(mutation)")
        // Overlapping patches and unreadable memory only where everything is hit at once.
        if kind != .everything { #expect(bytes == patch.bytes, "\(mutation)") }
      }
      for range in mutation.unreadable {
        #expect(throws: DumpError.self) { try damaged.bytes(at: PhysicalAddress(range.end - 1), count: 1) }
      }
      if let text = mutation.vmcoreinfo { #expect(damaged.notes.first(where: \.isVMCoreInfo)?.descriptor == text) }
    }
  }

  @Test func patchesShowInEveryReadThatTouchesThem() throws {
    let mutator = try Mutator(Mutations.machine, seed: 4)
    let mutation = mutator.mutation(3, .structPage)
    let patch = try #require(mutation.patches.first)
    let damaged = MutatedSource(Mutations.machine, mutation)
    let start = PhysicalAddress(patch.address.rawValue & ~0xffff)
    var expected = try Mutations.machine.bytes(at: start, count: 1 << 17)
    let offset = Int(patch.address.rawValue - start.rawValue)
    expected.replaceSubrange(offset..<offset + patch.bytes.count, with: patch.bytes)
    #expect(try damaged.bytes(at: start, count: 1 << 17) == expected)
    #expect(try damaged.bytes(at: patch.address, count: 1) == [patch.bytes[0]])
  }
}
