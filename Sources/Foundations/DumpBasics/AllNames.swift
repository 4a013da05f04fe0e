extension CaseIterable where Self: RawRepresentable, RawValue == String {
  /// Every value by its name, for help and messages: `header, kern, used, all`.
  public static var allNames: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
