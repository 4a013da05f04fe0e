/// The version of the program, as it stands in dumps and is printed.
public let toolVersion = "mcore 0.1.0"
